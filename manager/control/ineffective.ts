/** What Docker accepts and nothing comes of: said as a warning, for nobody is to rely on it. */
import type { ServiceSpec } from '../../types/index.ts';
import { attachmentsOf } from '../store/view.ts';

/** A sentence for each thing that a service asks for and that changes nothing. */
export function ineffective(spec: ServiceSpec): string[] {
  return attachmentsOf(spec.task).flatMap(({ target, driverOpts = {} }) => {
    const names = Object.keys(driverOpts).toSorted();
    if (names.length === 0) return [];
    return [
      `the driver options for network ${target} (${names.join(', ')}) change nothing: overlay ` +
        'networks have none for an attachment',
    ];
  });
}
