/** Devices that a container asks for by what they are: Docker's DeviceRequest, and CDI's names. */
import { integer, list, nullable, record, required, string, struct, type TypeOf } from './codec.ts';

export const deviceRequest = struct({
  driver: required('Driver', string, ''),
  /** -1: all of them. */
  count: required('Count', integer, 0),
  deviceIds: required('DeviceIDs', nullable(list(string)), null),
  /** One of the lists is enough; of that, everything. */
  capabilities: required('Capabilities', nullable(list(list(string))), null),
  options: required('Options', nullable(record(string)), null),
});
export type DeviceRequest = TypeOf<typeof deviceRequest>;

/** The kind of the GPUs that `--gpus` means. */
export const gpuKind = 'nvidia.com/gpu';

/** What a request for GPUs may name as capabilities: of NVIDIA's driver, as Docker has them. */
export const gpuCapabilities: readonly string[] = [
  'gpu',
  'nvidia',
  'compute',
  'compat32',
  'graphics',
  'utility',
  'video',
  'display',
];

/** "vendor.com/gpu=0" of the Container Device Interface, and nothing that could be a path. */
export function isDeviceName(text: string): boolean {
  return /^[a-zA-Z0-9][\w.-]*\/[a-zA-Z0-9][\w.-]*=[a-zA-Z0-9][\w.:-]*$/.test(text);
}
