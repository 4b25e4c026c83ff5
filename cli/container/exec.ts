/** `exec`: a command inside a container, or a task's on any node. */
import { connect } from '../client/index.ts';
import { atLeast, type Command } from '../command/command.ts';
import { silentExit } from '../command/errors.ts';
import { bool, list, text } from '../command/flags.ts';
import { envEntry, readEnvFile } from '../service/env.ts';
import { detachKeysFlag } from './detach-keys.ts';
import { checkTerminal, converse, terminalSize } from './session.ts';
import { findTarget, type TargetKind } from './target.ts';

const detach = bool('detach', 'Detached mode: run command in the background', { short: 'd' });
const env = list('env', 'Set environment variables', { short: 'e' });
const envFile = list('env-file', 'Read in a file of environment variables');
const interactive = bool('interactive', 'Keep STDIN open even if not attached', { short: 'i' });
const privileged = bool('privileged', 'Give extended privileges to the command');
const tty = bool('tty', 'Allocate a pseudo-TTY', { short: 't' });
const user = text('user', 'Username or UID (format: "<name|uid>[:<group|gid>]")', { short: 'u' });
const workdir = text('workdir', 'Working directory inside the container', { short: 'w' });

export function execCommand(kind: TargetKind): Command {
  return {
    usage: `[OPTIONS] ${kind === 'task' ? 'TASK' : 'CONTAINER'} COMMAND [ARG...]`,
    flags: [detach, detachKeysFlag, env, envFile, interactive, privileged, tty, user, workdir],
    args: atLeast(2),
    passThrough: true,
    async run(context, [reference = '', ...command], flags) {
      const isDetached = flags.get(detach) ?? false;
      const hasTty = flags.get(tty) ?? false;
      const stdin = !isDetached && (flags.get(interactive) ?? false);
      if (!isDetached) checkTerminal(context, { tty: hasTty, stdin });
      const client = connect(context);
      const { path, execPath } = await findTarget(client, reference, kind);
      const size = hasTty ? terminalSize(context) : undefined;
      const { Id } = await client.json<{ Id: string }>('POST', `${path}/exec`, {
        body: {
          AttachStdin: stdin,
          AttachStdout: !isDetached,
          AttachStderr: !isDetached,
          DetachKeys: flags.get(detachKeysFlag) ?? '',
          Tty: hasTty,
          Cmd: command,
          Env: [
            ...(flags.get(envFile) ?? []).flatMap((file) => readEnvFile(file, context.env)),
            ...(flags.get(env) ?? []).map((entry) => envEntry(entry, context.env)),
          ],
          User: flags.get(user) ?? '',
          WorkingDir: flags.get(workdir) ?? '',
          Privileged: flags.get(privileged) ?? false,
          ...(size === undefined ? {} : { ConsoleSize: size }),
        },
      });
      const exec = execPath(Id);
      const body = { Detach: isDetached, Tty: hasTty };
      if (isDetached) {
        await client.json('POST', `${exec}/start`, { body });
        return;
      }
      const connection = await client.hijack('POST', `${exec}/start`, { body });
      const isWhole = await converse(context, client, connection, {
        tty: hasTty,
        stdin,
        detachKeys: flags.get(detachKeysFlag),
        resizePath: `${exec}/resize`,
      });
      if (!isWhole) return;
      const { ExitCode } = await client.get<{ ExitCode: number | null }>(`${exec}/json`);
      if (ExitCode !== 0) throw silentExit(ExitCode ?? 1);
    },
  };
}
