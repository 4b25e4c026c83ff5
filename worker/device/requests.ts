/** Docker's requests for devices, as names of the Container Device Interface. Pure. */
import { SwarmError } from '../../lib/errors.ts';
import { gpuCapabilities, gpuKind, isDeviceName, type DeviceRequest } from '../../types/index.ts';

/** gpu=2 is before gpu=10. */
const inOrder = new Intl.Collator('en', { numeric: true });

/** Throws `invalid-argument` for what no node could give. */
export function checkDeviceRequests(requests: readonly DeviceRequest[]): void {
  for (const request of requests) {
    const ids = request.deviceIds ?? [];
    const hasOptions = Object.keys(request.options ?? {}).length > 0;
    if (request.driver === 'cdi') {
      if (request.count !== 0) throw invalid('unexpected count in CDI device request');
      if (hasOptions) throw invalid('unexpected options in CDI device request');
      const wrong = ids.find((id) => !isDeviceName(id));
      if (wrong !== undefined) {
        throw invalid(`invalid CDI device name "${wrong}": write VENDOR.com/CLASS=NAME`);
      }
      continue;
    }
    if (!isForGpus(request)) throw invalid(notSelected(request));
    if (request.count !== 0 && ids.length > 0) {
      throw invalid('cannot set both Count and DeviceIDs on device request');
    }
    if (hasOptions) {
      throw invalid(
        'options of a device request are not supported: devices are given as their vendor ' +
          'describes them; leave them out',
      );
    }
  }
}

/** `present`: all devices of the node. Each once; throws in Docker's words where one is missing. */
export function namesAskedFor(
  requests: readonly DeviceRequest[],
  present: readonly string[],
): readonly string[] {
  const names = requests.flatMap((request) =>
    request.driver === 'cdi' ? (request.deviceIds ?? []) : gpusAskedFor(request, present),
  );
  const missing = names.filter((name) => !present.includes(name));
  // As Docker: nothing is wrong with what was asked for, so that it is no fault of the client's.
  if (missing.length > 0) {
    throw new SwarmError(
      'internal',
      `CDI device injection failed: unresolvable CDI devices ${missing.join(', ')}`,
    );
  }
  return [...new Set(names)];
}

function gpusAskedFor(request: DeviceRequest, present: readonly string[]): readonly string[] {
  const prefix = `${gpuKind}=`;
  const gpus = present.filter((name) => name.startsWith(prefix)).toSorted(inOrder.compare);
  if (gpus.length === 0) throw new SwarmError('internal', notSelected(request));
  const ids = request.deviceIds ?? [];
  if (ids.length > 0) return ids.map((id) => (id.includes('=') ? id : prefix + id));
  const all = `${prefix}all`;
  const single = singles(gpus.filter((name) => name !== all));
  if (request.count < 0) return gpus.includes(all) ? [all] : single;
  if (request.count <= single.length) return single.slice(0, request.count);
  throw new SwarmError(
    'internal',
    `${request.count} of ${gpuKind} were asked for, and this node has ${single.length}`,
  );
}

/** A device may also go by its serial number: those with numbers are all of them, once. */
function singles(gpus: readonly string[]): readonly string[] {
  const numbered = gpus.filter((name) => /=\d+(?::\d+)?$/.test(name));
  return numbered.length > 0 ? numbered : gpus;
}

function isForGpus({ driver, capabilities }: DeviceRequest): boolean {
  if (driver !== '' && driver !== 'nvidia') return false;
  return (capabilities ?? []).some((all) => all.every((one) => gpuCapabilities.includes(one)));
}

function notSelected({ driver, capabilities }: DeviceRequest): string {
  const lists = (capabilities ?? []).map((all) => `[${all.join(' ')}]`).join(' ');
  return `could not select device driver "${driver}" with capabilities: [${lists}]`;
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
