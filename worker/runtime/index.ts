/**
 * Owns containers: the Runtime port, its adapter on containerd (which it also starts and keeps
 * running), and a fake one. Imports lib, types and gen. Read runtime.ts first, then
 * containerd/open.ts; oci/ and logs/ stand alone.
 */
export * from './runtime.ts';
export { hasJournal } from './logs/remote/shippers.ts';
export * from './controls.ts';
export * from './io.ts';
export * from './layers.ts';
export type { ContainerdClient } from './containerd/client.ts';
export {
  openContainerd,
  type ContainerdOptions,
  type OpenedContainerd,
} from './containerd/open.ts';
