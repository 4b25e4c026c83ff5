/**
 * Owns what a node has that is counted or named: GPUs and the like. Imports lib, types and its
 * siblings in worker. Read node-devices.ts first; cdi.ts reads the files in which vendors say what
 * a container needs to use their devices, requests.ts what Docker's clients ask for.
 */
export { cdiFolders, type CdiSpec } from './cdi.ts';
export { NodeDevices, type DeviceEdits } from './node-devices.ts';
export { checkDeviceRequests } from './requests.ts';
export { parseResources } from './resources.ts';
export { withDevices } from './with-devices.ts';
