/** `attach`: the streams of a container's first process. */
import { connect, type Client } from '../client/index.ts';
import { exactly, type Command } from '../command/command.ts';
import type { Context } from '../command/context.ts';
import { commandError, silentExit } from '../command/errors.ts';
import { bool } from '../command/flags.ts';
import { detachKeysFlag } from './detach-keys.ts';
import { checkTerminal, converse, tellUnlessGone } from './session.ts';
import { findTarget, type TargetKind } from './target.ts';

const noStdin = bool('no-stdin', 'Do not attach STDIN');
export const sigProxy = bool('sig-proxy', 'Proxy all received signals to the process', {
  shownDefault: 'true',
});

const proxied = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** What the user sends to this process goes to the container's. */
export function proxySignals(context: Context, client: Client, path: string): Disposable {
  return context.onSignals(proxied, (signal) => {
    // One that comes when the container has ended finds nobody; its end is told otherwise.
    client
      .json('POST', `${path}/kill`, { query: { signal } })
      .catch((error: unknown) => tellUnlessGone(context, error));
  });
}

export function attachCommand(kind: TargetKind): Command {
  const isTask = kind === 'task';
  return {
    usage: `[OPTIONS] ${isTask ? 'TASK' : 'CONTAINER'}`,
    // A signal would end the task, and the swarm start another.
    flags: [detachKeysFlag, noStdin, ...(isTask ? [] : [sigProxy])],
    args: exactly(1),
    async run(context, [reference = ''], flags) {
      const client = connect(context);
      const { path, container } = await findTarget(client, reference, kind);
      const { State, Config } = container;
      if (!State.Running) {
        throw commandError('You cannot attach to a stopped container, start it first');
      }
      if (State.Paused) {
        throw commandError('You cannot attach to a paused container, unpause it first');
      }
      if (State.Restarting) {
        throw commandError('You cannot attach to a restarting container, wait until it is running');
      }
      const stdin = !flags.get(noStdin) && Config.OpenStdin;
      checkTerminal(context, { tty: Config.Tty, stdin });
      const connection = await client.hijack('POST', `${path}/attach`, {
        query: {
          stream: 1,
          stdin: stdin ? 1 : undefined,
          stdout: 1,
          stderr: 1,
          detachKeys: flags.get(detachKeysFlag),
        },
      });
      // Once it has ended, one that removes itself can be asked nothing any more.
      const waiting = container.HostConfig.AutoRemove
        ? client.json<{ StatusCode: number }>('POST', `${path}/wait`, {
            query: { condition: 'removed' },
          })
        : undefined;
      using signals = new DisposableStack();
      if (!isTask && !Config.Tty && (flags.get(sigProxy) ?? true)) {
        signals.use(proxySignals(context, client, path));
      }
      const isWhole = await converse(context, client, connection, {
        tty: Config.Tty,
        stdin,
        detachKeys: flags.get(detachKeysFlag),
        resizePath: `${path}/resize`,
      });
      if (!isWhole) return;
      if (waiting !== undefined) {
        const { StatusCode } = await waiting;
        if (StatusCode !== 0) throw silentExit(StatusCode);
        return;
      }
      const { container: after } = await findTarget(client, reference, kind);
      if (!after.State.Running && after.State.ExitCode !== 0) {
        throw silentExit(after.State.ExitCode);
      }
    },
  };
}
