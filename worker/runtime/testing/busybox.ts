import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerdClient } from '../containerd/client.ts';
import type { ImageRootfs } from '../runtime.ts';

const busybox = '/bin/busybox';
const applets =
  'cat echo env false grep head hostname id ls mount ps pwd sh sleep touch true unshare wc wget yes'.split(
    ' ',
  );
/** Without it containerd would collect the snapshot as garbage. */
const keep = { 'containerd.io/gc.root': '2024-01-01T00:00:00Z' };

/** Real containers need root, containerd and a static busybox. */
export function canRunContainers(): boolean {
  return process.getuid?.() === 0 && existsSync('/usr/bin/containerd') && existsSync(busybox);
}

/** An image of busybox alone, made in the snapshotter by hand. */
export async function makeBusyboxImage(
  client: ContainerdClient,
  snapshotter: string,
): Promise<ImageRootfs> {
  const { mounts } = await client.snapshots.prepare({ snapshotter, key: 'making', labels: keep });
  const root = mounts[0]?.source ?? '';
  for (const folder of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'root']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  execFileSync('cp', [busybox, join(root, 'bin/busybox')]);
  for (const applet of applets) symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/tmp:/bin/sh\n',
  );
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nweb:x:1000:\nextra:x:1001:web\n');
  await client.snapshots.commit({ snapshotter, key: 'making', name: 'busybox', labels: keep });
  return { name: 'busybox', chainId: 'busybox' };
}
