/** Services on networks that come and go, and whatever they might leave on hosts. */
import { strict as assert } from 'node:assert';
import { sleep, until, type Host } from '../lab/index.ts';
import { tablesAreRight } from './network-tables.ts';
import { imageOf, type TestSwarm } from './swarm.ts';

const network = 'narrow';
/** Addresses for six services with a task each, and one that is left. */
const subnet = '10.77.0.0/28';
const atOnce = 6;

/** So many services come and go, six at a time; their network has room for no more. */
export async function comeAndGo(swarm: TestSwarm, services: number): Promise<void> {
  await swarm.cli('network', 'create', '--driver', 'overlay', '--subnet', subnet, network);
  // What the first of them brings to a host for good is not a leftover.
  await round(swarm, 'first');
  const before = await settled(swarm);
  const rounds = Math.ceil(services / atOnce);
  for (let times = 0; times < rounds; times++) await round(swarm, `round-${times}`);
  await until('nothing is left of the services', () => leftovers(swarm, before), {
    accept: (left) => left.length === 0,
  });
  await tablesAreRight(swarm);
  await swarm.cli('network', 'rm', network);
  await until('nothing is left of the network', () => hasMeshOnly(swarm));
}

async function hasMeshOnly(swarm: TestSwarm): Promise<boolean> {
  const overlays = await Promise.all(
    swarm.hosts.map((host) => host.exec(`ls ${host.runRoot}/overlay`)),
  );
  return overlays.every((text) => text.trim().split('\n').length === 1);
}

/** No container has or had a network that is still to be taken down. */
async function hasNoContainers(swarm: TestSwarm): Promise<boolean> {
  const found = await Promise.all(
    swarm.hosts.map((host) =>
      host.exec(`cd ${host.runRoot}; ls -d netns/* attachments/* 2>/dev/null || true`),
    ),
  );
  return found.every((text) => text.trim() === '');
}

/** Nodes take down what belonged to tasks a little after the tasks are gone from the store. */
async function settled(swarm: TestSwarm): Promise<ReadonlyMap<Host, readonly string[]>> {
  await until('the nodes have taken down the network', () => hasMeshOnly(swarm));
  await until('and what was of containers', () => hasNoContainers(swarm));
  await tablesAreRight(swarm);
  let last = await traces(swarm);
  await until(
    'what hosts have of networks stays as it is',
    async () => {
      await sleep(500);
      const changed = await leftovers(swarm, last);
      last = await traces(swarm);
      return changed;
    },
    { timeoutMs: 60_000, accept: (changed) => changed.length === 0 },
  );
  return last;
}

async function round(swarm: TestSwarm, name: string): Promise<void> {
  const names = Array.from({ length: atOnce }, (_, index) => `${name}-${index}`);
  await Promise.all(names.map((one, index) => create(swarm, one, index % 2 === 0)));
  await Promise.all(names.map((one) => swarm.runs(one, 1, 60_000)));
  await swarm.clear();
}

/** Half of them publish a port, on every node. */
async function create(swarm: TestSwarm, name: string, publishes: boolean): Promise<void> {
  const ports = publishes ? [{ Protocol: 'tcp', TargetPort: 80, PublishMode: 'ingress' }] : [];
  await swarm.manager.api('POST', '/services/create', {
    Name: name,
    TaskTemplate: {
      ContainerSpec: { Image: imageOf(swarm, 'sleeper:1') },
      Networks: [{ Target: network }],
    },
    Mode: { Replicated: { Replicas: 1 } },
    EndpointSpec: { Ports: ports },
  });
}

/** What a host's kernel and run root have of networks, a line each. */
async function tracesOf(host: Host): Promise<readonly string[]> {
  const output = await host.exec(`
cd ${host.runRoot}
ls -d overlay/* netns/* attachments/* 2>/dev/null
ip -o link | cut -d: -f2 | cut -d@ -f1
ip route show table all; ip -6 route show table all; ip rule; ip neigh show nud permanent
nft -s list ruleset
for id in $(ls overlay); do
  in="nsenter --net=overlay/$id"
  echo "namespace $id"
  $in ip -o link | cut -d: -f2 | cut -d@ -f1
  $in bridge fdb | grep static
  $in ip neigh show nud permanent
  $in ip route show table all
  $in nft list maps
  $in nft list sets
done
ls netns | wc -l
true`);
  // A bridge without containers has no carrier, which the kernel shows a moment later.
  return output
    .split('\n')
    .filter(
      (line) => line !== '' && !/dev ts-swarm0 .*(fe80|ff00)|^(fe80|multicast ff00)/.test(line),
    )
    .map((line) => line.replace(' linkdown', ''));
}

async function traces(swarm: TestSwarm): Promise<ReadonlyMap<Host, readonly string[]>> {
  const found = swarm.hosts.map(async (host) => [host, await tracesOf(host)] as const);
  return new Map(await Promise.all(found));
}

/** Lines that were not there before, and those that are missing. */
async function leftovers(
  swarm: TestSwarm,
  before: ReadonlyMap<Host, readonly string[]>,
): Promise<readonly string[]> {
  const now = await traces(swarm);
  return [...now].flatMap(([host, lines]) => {
    const former = before.get(host);
    assert.ok(former !== undefined, `${host.name} was looked at before`);
    return [
      ...lines.filter((line) => !former.includes(line)).map((line) => `${host.name} + ${line}`),
      ...former.filter((line) => !lines.includes(line)).map((line) => `${host.name} - ${line}`),
    ];
  });
}
