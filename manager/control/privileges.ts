/** What services may have beyond Docker's: only what the swarm's settings allow. */
import { SwarmError } from '../../lib/errors.ts';
import {
  devicesLabel,
  parseDevice,
  privilegedLabel,
  whyForbidden,
  type ContainerSpec,
  type ServiceSpec,
} from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';

/** Throws `invalid-argument` for a label that says nothing sensible. */
export function validatePrivileges({ labels = {} }: ContainerSpec): void {
  const word = labels[privilegedLabel];
  if (word !== undefined && word !== 'true' && word !== 'false') {
    throw invalid(`the container label ${privilegedLabel} is "${word}", and can be true or false`);
  }
  for (const part of labels[devicesLabel]?.split(',') ?? []) {
    if (parseDevice(part) !== undefined) continue;
    throw invalid(
      /^[^/=]+\/[^/=]+=./.test(part)
        ? `the device "${part}" is a vendor's; ask for a number of them with ` +
            `--generic-resource ${part.replace(/=.*/, '')}=1`
        : `"${part}" is no device: give /dev/NAME, /dev/NAME:/dev/OTHER or /dev/NAME:rwm`,
    );
  }
}

/** Throws `permission-denied` for what the swarm's settings do not allow. */
export function refuseForbidden(view: StoreView, spec: ServiceSpec): void {
  const why = whyForbidden(spec.task.container, view.cluster()?.spec.labels);
  if (why !== undefined) throw new SwarmError('permission-denied', why);
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
