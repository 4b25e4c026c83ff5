/** What the devices of an overlay network are called in its namespace, on every node. */
import { join } from 'node:path';

export const bridgeName = 'br0';
export const vxlanName = 'vxlan0';

/** Where the namespaces of overlay networks are pinned: a file each, named by the network's id. */
export function overlayFolder(runRoot: string): string {
  return join(runRoot, 'overlay');
}

export function overlayPath(runRoot: string, networkId: string): string {
  return join(overlayFolder(runRoot), networkId);
}
