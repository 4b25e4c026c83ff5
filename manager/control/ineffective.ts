/** What Docker accepts and nothing comes of: said as a warning, for nobody is to rely on it. */
import type { ServiceSpec } from '../../types/index.ts';
import { attachmentsOf } from '../store/view.ts';

/** Docker's option of an endpoint that nodes heed: settings of the kernel for the interface. */
const sysctlsOption = 'com.docker.network.endpoint.sysctls';

/** A sentence for each thing that a service asks for and that changes nothing. */
export function ineffective(spec: ServiceSpec): string[] {
  return attachmentsOf(spec.task).flatMap(({ target, driverOpts = {} }) => {
    const names = Object.keys(driverOpts)
      .filter((name) => name !== sysctlsOption)
      .toSorted();
    if (names.length === 0) return [];
    return [
      `the driver options for network ${target} (${names.join(', ')}) change nothing: overlay ` +
        'networks have none for an attachment',
    ];
  });
}
