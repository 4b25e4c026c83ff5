/** Paths of a Linux host, without asking it. */

/** An absolute path without `.` and `..`; `~` is the home folder of whoever deploys. */
export function resolvePath(base: string, path: string, home: string | undefined): string {
  if (path === '~' || path.startsWith('~/')) {
    return home === undefined ? path : normalizePath(`${home}/${path.slice(1)}`);
  }
  return normalizePath(path.startsWith('/') ? path : `${base}/${path}`);
}

export function folderOf(path: string): string {
  const at = path.lastIndexOf('/');
  return at <= 0 ? '/' : path.slice(0, at);
}

function normalizePath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}
