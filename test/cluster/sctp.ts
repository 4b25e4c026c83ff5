/** SCTP associations between namespaces, opened by sctp-peer.py: see there. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Place } from '../wires/wires.ts';
import { runResult } from '../lab/index.ts';

const script = join(import.meta.dirname, 'sctp-peer.py');
const inside = ({ path }: Place) => [`--net=${path}`, 'python3', script];

export class SctpPeers implements AsyncDisposable {
  readonly #servers: ChildProcess[] = [];

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) {
      if (server.exitCode !== null) continue;
      const ended = once(server, 'exit');
      server.kill('SIGKILL');
      await ended;
    }
  }

  /** Answers there as `name`, from now on. */
  async serve(place: Place, port: number, name: string): Promise<void> {
    const args = [...inside(place), 'serve', String(port), name];
    const server = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#servers.push(server);
    const ended = once(server, 'exit').then(([code]) => {
      throw new Error(`the SCTP server in ${place.name} has ended with ${code}`);
    });
    await Promise.race([once(server.stdout, 'data'), ended]);
    // It ends with the test.
    ended.catch(() => undefined);
  }

  /** Who answers, and whom they see: "name source", each once, sorted; "nobody" in 15 s. */
  async ask(place: Place, host: string, port: number, times = 12): Promise<readonly string[]> {
    const args = [...inside(place), 'ask', host, String(port), String(times)];
    const { stdout } = await runResult(['nsenter', ...args], { timeoutMs: 30_000 });
    return stdout.trim().split('\n');
  }
}
