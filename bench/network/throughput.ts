/** Bytes from container to container, beside the bare hosts that they run on and a bare tunnel. */
import type { Host } from '../../test/lab/index.ts';
import { median, type Metrics } from '../bench.ts';
import type { Swarm } from '../swarm/swarm.ts';
import { Ground, inNetworkOf } from './ground.ts';

const seconds = 4;
const port = 5201;

interface Report {
  readonly error?: string;
  readonly end?: { readonly sum_received?: { readonly bits_per_second: number } };
}

/** `rounds` of each in turn, so that what else the machine does meets both. */
export async function throughput(swarm: Swarm, rounds: number): Promise<Metrics> {
  await using ground = await Ground.open(swarm, 2);
  const service = await ground.service('ends', 2);
  const members = await ground.members(service);
  const [from, to] = ground.hosts;
  const client = members.find(({ host }) => host === from);
  const server = members.find(({ host }) => host === to);
  if (from === undefined || to === undefined || client === undefined || server === undefined) {
    throw new Error('the two tasks do not run on a host each');
  }
  const serve = ['iperf3', '--server', '--port', `${port}`];
  for (const [name, inside] of [
    ['iperf3 on the host', (argv: readonly string[]) => argv],
    ['iperf3 in the container', (argv: readonly string[]) => inNetworkOf(server, argv)],
  ] as const) {
    const running = await to.start(name, inside(serve), ground.log('iperf3'));
    await running.ready(() => to.exec(inside(['ss', '-Hltn', `sport = :${port}`])));
  }
  const ask = (address: string) => ['iperf3', '--client', address, '--port', `${port}`];
  await addTunnel(from, to, 1);
  await addTunnel(to, from, 2);
  const bare: number[] = [];
  const tunnel: number[] = [];
  const overlay: number[] = [];
  await gigabits(from, inNetworkOf(client, ask(server.address)), 1);
  for (let round = 0; round < rounds; round++) {
    bare.push(await gigabits(from, ask(to.address), seconds));
    tunnel.push(await gigabits(from, ask(tunnelAddress(2)), seconds));
    overlay.push(await gigabits(from, inNetworkOf(client, ask(server.address)), seconds));
  }
  return {
    underlay_gbit_per_s: median(bare),
    bare_vxlan_gbit_per_s: median(tunnel),
    overlay_gbit_per_s: median(overlay),
    overlay_of_underlay_percent: (100 * median(overlay)) / median(bare),
    overlay_of_bare_vxlan_percent: (100 * median(overlay)) / median(tunnel),
  };
}

const tunnelAddress = (end: number) => `10.201.0.${end}`;

/**
 * A VXLAN device with an address and nothing else: no bridge, no container, no rules. What the
 * kernel's encapsulation alone costs is the most that an overlay of VXLAN can reach.
 */
async function addTunnel(host: Host, peer: Host, end: number): Promise<void> {
  const ends = `local ${host.address} remote ${peer.address}`;
  await host.exec(
    `ip link add bench-vxlan type vxlan id 77 ${ends} dstport 4790 dev eth0
     ip address add ${tunnelAddress(end)}/24 dev bench-vxlan
     ip link set bench-vxlan up`,
  );
}

async function gigabits(host: Host, command: readonly string[], forS: number): Promise<number> {
  const argv = [...command, '--json', '--time', `${forS}`, '--connect-timeout', '5000'];
  const { stdout } = await host.execResult(argv, { timeoutMs: 30_000 });
  const report = JSON.parse(stdout) as Report;
  const bits = report.end?.sum_received?.bits_per_second;
  if (bits === undefined) throw new Error(`iperf3: ${report.error ?? 'it measured nothing'}`);
  return bits / 1e9;
}
