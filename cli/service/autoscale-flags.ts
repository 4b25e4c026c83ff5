/** How many replicas there are by what is measured: a label of the service. */
import { commandError } from '../command/errors.ts';
import { text, type FlagValues } from '../command/flags.ts';
import { autoscaleLabel, autoscaleOf } from '../../types/index.ts';
import type { SpecDraft } from './draft.ts';
import { scalar, type SpecFlag } from './spec-flag.ts';

const autoscale = text(
  'autoscale',
  'Replicas by load, such as min=2,max=10,cpu=60%; memory=, connections=, connection-rate=, ' +
    'requests=50/s,metrics=8080/metrics; prometheus=URL,query=,target=; window=; "none" takes it away',
);

export const autoscaleFlags: readonly SpecFlag[] = [
  scalar(autoscale, (spec, value) => {
    const { [autoscaleLabel]: _old, ...labels } = spec.labels;
    spec.labels = value === 'none' ? labels : { ...labels, [autoscaleLabel]: value };
  }),
];

/** Throws where the number of replicas is not for people to say. */
export function refuseScaling(spec: SpecDraft, values?: FlagValues): void {
  const settings = autoscaleOf(spec);
  if (settings === undefined || values?.get(autoscale) === 'none') return;
  const { min, max } = settings;
  throw commandError(
    `${spec.name} is autoscaled from ${min} to ${max}: change the bounds with \`service update ` +
      '--autoscale min=…,max=…,…`, or take it away with `--autoscale none` first',
  );
}
