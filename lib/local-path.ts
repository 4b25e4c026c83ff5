/** Paths as texts: those that are meant to stay below a folder, and the plain form of any. */

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

/** One form for all ways to write an absolute path: "/a/", "/a//" and "/b/../a" are "/a". */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}
