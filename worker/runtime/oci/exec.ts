/** The OCI process of a command that is run in a container that runs already. */
import type { ExecRequest } from '../io.ts';
import { allCapabilities } from '../../../lib/capabilities.ts';
import type { OciProcess } from './spec.ts';
import { withHome, withOwnGroup, withoutHome, type ResolvedUser } from './user.ts';

/** `user` absent: whom the container's first process runs as. */
export function sessionProcess(
  first: OciProcess,
  request: ExecRequest,
  user?: ResolvedUser,
  all: readonly string[] = allCapabilities,
): OciProcess {
  const { tty, consoleSize, privileged } = request;
  const bounding = privileged ? all : (first.capabilities['bounding'] ?? []);
  const own = user ?? first.user;
  const held = own.uid === 0 || privileged ? bounding : [];
  const { consoleSize: _, ...rest } = first;
  return {
    ...rest,
    terminal: tty,
    ...(tty && consoleSize !== undefined ? { consoleSize } : {}),
    user: withOwnGroup(own),
    args: request.argv,
    env: withDefaults(
      user === undefined ? first.env : withHome(withoutHome(first.env), user),
      request,
    ),
    cwd: request.workdir === '' ? first.cwd : request.workdir,
    capabilities: { bounding, effective: held, permitted: held },
    noNewPrivileges: privileged ? false : first.noNewPrivileges,
  };
}

function withDefaults(env: readonly string[], request: ExecRequest): readonly string[] {
  const merged = new Map(env.map((entry) => [entry.split('=', 1)[0] ?? '', entry]));
  if (request.tty && !merged.has('TERM')) merged.set('TERM', 'TERM=xterm');
  for (const entry of request.env) {
    const name = entry.split('=', 1)[0] ?? '';
    if (entry.includes('=')) merged.set(name, entry);
    else merged.delete(name);
  }
  return [...merged.values()];
}
