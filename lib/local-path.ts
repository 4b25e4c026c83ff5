/** Paths that are meant to stay below a folder. */

/** Relative, and not out of the folder by its own words; links may still lead elsewhere. */
export function isLocalPath(path: string): boolean {
  if (path === '' || path.startsWith('/')) return false;
  let depth = 0;
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    depth += part === '..' ? -1 : 1;
    if (depth < 0) return false;
  }
  return true;
}
