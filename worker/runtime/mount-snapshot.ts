/** Mounts what the snapshotter describes: the file system of an image and of the layer on it. */
import { closeSync, openSync } from 'node:fs';
import { mount, mountFlags } from '../network/syscalls.ts';
import type { SnapshotMount } from './rootfs-file.ts';

/** The kernel reads one page of options, the zero at its end among them. */
const optionBytesMax = 4095;
const folderOptions = /^(lowerdir|upperdir|workdir)=(.*)$/s;

export function mountSnapshot(
  { type, source, options }: SnapshotMount,
  folder: string,
  { readOnly }: { readonly readOnly: boolean },
): void {
  const { bind, remount } = mountFlags;
  const flags = readOnly ? mountFlags.readOnly : 0;
  if (type === 'bind') {
    mount(source, folder, bind);
    // The file system itself is read-only below, where it is not a folder of the host's.
    if (readOnly) mount('none', folder, bind | remount | flags);
    return;
  }
  const data = options.join(',');
  if (Buffer.byteLength(data) <= optionBytesMax) mount(source, folder, flags, { type, data });
  else mountByHandle({ type, source, options }, folder, flags);
}

/** Many layers: the folder that all of them are in is held open, and has a short name then. */
function mountByHandle({ type, source, options }: SnapshotMount, folder: string, flags: number) {
  const common = commonFolder(options);
  const handle = openSync(common === '' ? '/' : common, 'r');
  try {
    const data = shortened(options, common, `/proc/self/fd/${handle}`).join(',');
    mount(source, folder, flags, { type, data });
  } finally {
    closeSync(handle);
  }
}

/** The deepest folder, without its last slash, that everything is below. */
export function commonFolder(options: readonly string[]): string {
  const ways = foldersIn(options).map((path) => path.split('/').slice(0, -1));
  const [first = [], ...others] = ways;
  const depth = first.findIndex((part, at) => others.some((way) => way[at] !== part));
  return (depth < 0 ? first : first.slice(0, depth)).join('/');
}

/** The same options, with another name for the folder that everything is below. */
export function shortened(
  options: readonly string[],
  common: string,
  name: string,
): readonly string[] {
  return options.map((option) => {
    const [, key, list = ''] = folderOptions.exec(option) ?? [];
    if (key === undefined) return option;
    const paths = list.split(':').map((path) => `${name}${path.slice(common.length)}`);
    return `${key}=${paths.join(':')}`;
  });
}

function foldersIn(options: readonly string[]): readonly string[] {
  return options.flatMap((option) => folderOptions.exec(option)?.[2]?.split(':') ?? []);
}
