/** HTTP requests to one backend: at its address, at its service's VIP, and through the mesh. */
import { join } from 'node:path';
import type { Host } from '../../test/lab/index.ts';
import { median, type Metrics } from '../bench.ts';
import type { Swarm } from '../swarm/swarm.ts';
import { Ground, inNetworkOf, onHost } from './ground.ts';

const seconds = 4;
const port = 80;
const meshPort = 8080;
const connections = 16;

interface Way {
  readonly name: string;
  readonly from: Host;
  readonly command: readonly string[];
}

/**
 * Requests over connections that stay, and requests with a connection each. All ways lead to the
 * same server, so that they differ by what is between; `rounds` of each in turn.
 */
export async function requests(swarm: Swarm, rounds: number): Promise<Metrics> {
  await using ground = await Ground.open(swarm, 3);
  const found = await ways(ground);
  const metrics: Record<string, number> = {};
  for (const [kind, headers] of [
    ['requests', []],
    ['connections', ['-H', 'Connection: close']],
  ] as const) {
    const rates = found.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const [index, { from, command }] of found.entries()) {
        rates[index]?.push(await rate(from, [...command, ...headers]));
      }
    }
    const [direct = Number.NaN, ...others] = rates.map(median);
    metrics[`direct_${kind}_per_s`] = direct;
    for (const [index, other] of others.entries()) {
      const name = found[index + 1]?.name;
      metrics[`${name}_${kind}_per_s`] = other;
      metrics[`${name}_of_direct_${kind}_percent`] = (100 * other) / direct;
    }
  }
  return metrics;
}

/** The direct one first. */
async function ways(ground: Ground): Promise<readonly Way[]> {
  const { swarm, lab } = ground;
  const published = { Ports: [{ Protocol: 'tcp', TargetPort: port, PublishedPort: meshPort }] };
  const service = await ground.service('server', 1, {
    task: onHost('h2'),
    ...(swarm.hasVips ? { endpoint: published } : {}),
  });
  // A client each: what connection tracking remembers of one way must not meet the other.
  const clients = await ground.service('clients', 2, { task: onHost('h1') });
  const [server] = await ground.members(service);
  const [first, second] = await ground.members(clients);
  if (server === undefined || first === undefined || second === undefined) {
    throw new Error('the server and its two clients do not run');
  }
  const program = join(import.meta.dirname, 'http-server.ts');
  const argv = inNetworkOf(server, [process.execPath, program, `${port}`]);
  const running = await server.host.start('http server', argv, ground.log('http'));
  const load = ['--threads', '1', '--connections', `${connections}`, '--duration', `${seconds}s`];
  const wrk = (address: string, at: number) => ['wrk', ...load, `http://${address}:${at}/`];
  const direct = inNetworkOf(first, wrk(server.address, port));
  const probe = ['wget', '-q', '-O', '-', `http://${server.address}:${port}/`];
  await running.ready(() => first.host.exec(inNetworkOf(first, ['busybox', ...probe])));
  const all: Way[] = [{ name: 'direct', from: first.host, command: direct }];
  if (!swarm.hasVips) return all;
  const vip = inNetworkOf(second, wrk(await ground.vip(service), port));
  all.push({ name: 'vip', from: second.host, command: vip });
  // Somebody outside asks a node that has no replica.
  const mesh = wrk(lab.host('h1').address, meshPort);
  all.push({ name: 'mesh', from: lab.host('h3'), command: mesh });
  return all;
}

async function rate(host: Host, command: readonly string[]): Promise<number> {
  const text = await host.exec(command);
  const found = /^Requests\/sec:\s+([\d.]+)/m.exec(text)?.[1];
  const errors = /^\s+Socket errors:.*$|^\s+Non-2xx.*$/m.exec(text)?.[0];
  if (errors !== undefined) throw new Error(`wrk at ${command.join(' ')}: ${errors.trim()}`);
  if (found === undefined) throw new Error(`wrk measured nothing: ${text}`);
  return Number(found);
}
