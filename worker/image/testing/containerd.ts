/** A containerd of the tests' own, in a temporary folder; gone with all it made when disposed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { realClock } from '../../../lib/clock.ts';
import { connectContainerd, type ContainerdClient } from '../../runtime/containerd/client.ts';

export interface TestContainerd extends AsyncDisposable {
  readonly client: ContainerdClient;
  readonly socketPath: string;
  readonly folder: string;
}

const startTimeoutMs = 15_000;

export async function startContainerd(namespace = 'images-test'): Promise<TestContainerd> {
  const folder = await mkdtemp('/tmp/images-containerd-');
  const socketPath = join(folder, 'containerd.sock');
  const config = join(folder, 'config.toml');
  await mkdir(join(folder, 'root'));
  await writeFile(
    config,
    `version = 2
root = "${join(folder, 'root')}"
state = "${join(folder, 'state')}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${socketPath}"
`,
  );
  const logPath = join(folder, 'log');
  const child = spawn('sh', ['-c', 'exec containerd --config "$1" 2>"$2"', 'sh', config, logPath], {
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  const client = connectContainerd({ socketPath, namespace });
  const deadlineMs = realClock.monotonicMs() + startTimeoutMs;
  for (;;) {
    try {
      await client.version.version({});
      break;
    } catch (thrown) {
      if (child.exitCode !== null || realClock.monotonicMs() > deadlineMs) {
        const log = await readFile(logPath, 'utf8');
        throw new Error(`containerd did not start: ${log}`, { cause: thrown });
      }
      await realClock.sleep(50);
    }
  }
  return {
    client,
    socketPath,
    folder,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
