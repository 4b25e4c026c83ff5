/** What a service's containers may do beyond Docker's services: labels of the containers. */
import {
  deviceText,
  devicesLabel,
  devicesOf,
  parseDevice,
  privilegedLabel,
  type DeviceMapping,
} from '../../types/index.ts';
import { bool } from '../command/flags.ts';
import { container, type SpecDraft } from './draft.ts';
import { collection, scalar, type SpecFlag } from './spec-flag.ts';

export const privilegeFlags: readonly SpecFlag[] = [
  scalar(
    bool('privileged', 'Give extended privileges to the containers (where the swarm allows it)'),
    (spec, value) => setLabel(spec, privilegedLabel, value ? 'true' : undefined),
  ),
  collection<DeviceMapping>({
    name: 'device',
    word: 'device',
    help: 'Give the containers a device of their nodes (where the swarm allows it)',
    addHelp: "Add or change a device of the containers' nodes",
    rmHelp: 'Remove a device by its path in the container',
    parse(text) {
      const device = parseDevice(text);
      if (device !== undefined) return device;
      throw new Error(`"${text}" is not of the form /dev/NAME[:/dev/OTHER][:rwm]`);
    },
    key: ({ pathInContainer }) => pathInContainer,
    read: (spec) => devicesOf(container(spec)),
    write: (spec, entries) =>
      setLabel(spec, devicesLabel, entries.map(deviceText).join(',') || undefined),
  }),
];

function setLabel(spec: SpecDraft, label: string, value: string | undefined): void {
  const { [label]: _old, ...labels } = container(spec).labels ?? {};
  container(spec).labels = value === undefined ? labels : { ...labels, [label]: value };
}
