/** The daemon of this host, started where none runs. */
import { connect, defaultRunRoot, resolveHost, socketOf, type Client } from '../client/index.ts';
import type { Context } from '../command/context.ts';
import type { FlagValues } from '../command/flags.ts';
import { daemonOptions } from './daemon-flags.ts';

interface LocalDaemon {
  readonly client: Client;
  /** It did not run before this command. */
  readonly started: boolean;
}

/** A client of the local daemon. Says on stderr that it started one, if it did. */
export async function localDaemon(context: Context, values: FlagValues): Promise<LocalDaemon> {
  const { runRoot, argv, start } = daemonOptions(values);
  const host = context.host ?? (runRoot === undefined ? resolveHost(context) : socketOf(runRoot));
  let started = false;
  if (start) {
    const { ensureDaemon } = await import('./daemon-process.ts');
    const root = runRoot ?? defaultRunRoot;
    started = await ensureDaemon({ host, runRoot: root, argv, clock: context.clock });
    if (started) context.err.line(`Started the daemon; its log is ${root}/daemon.log`);
  }
  return { client: connect({ ...context, host }), started };
}
