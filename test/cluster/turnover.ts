/** Services that are created and removed as fast as a manager takes them, on a network of /28. */
import { strict as assert } from 'node:assert';
import { until } from '../lab/index.ts';
import { addressesOf } from './network-peers.ts';
import { imageOf, type TestSwarm } from './swarm.ts';

const network = 'small';
const subnet = '10.78.0.0/28';
/** Without the network's own, the gateway's and the last. */
const addresses = 13;
const atOnce = 4;
/** Any that nobody chooses by chance. */
const vni = '9000001';
const patienceMs = 60_000;
/** What the daemons need for it. */
export const turnoverFlags = ['--metrics-addr=0.0.0.0:9323'];

interface WireNetwork {
  readonly IPAM: { readonly Config: readonly { readonly Subnet: string }[] };
}

interface WireService {
  readonly ID: string;
}

/** Nothing of them is left in the store, and nothing is held for them. */
export async function createAndRemove(swarm: TestSwarm, services: number): Promise<void> {
  const { manager } = swarm;
  const first = await subnetOfNew(swarm);
  await swarm.cli('network', 'create', '-d', 'overlay', '--subnet', subnet, network);
  const before = await objects(swarm);
  let next = 0;
  const oneAfterAnother = async () => {
    while (next < services) {
      const name = `brief-${next++}`;
      const made = await manager.api<WireService>('POST', '/services/create', spec(swarm, name));
      // Some have a container by now, some a task only, and some nothing yet.
      if (next % 5 === 0) await until('it has a task', () => swarm.tasks(name), hasTasks);
      await manager.api('DELETE', `/services/${made.ID}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, oneAfterAnother));
  await until('nothing is left in the store', () => objects(swarm), {
    accept: (now) => JSON.stringify(now) === JSON.stringify(before),
    timeoutMs: patienceMs,
  });
  await allAddressesAreFree(swarm);
  await swarm.clear();
  await swarm.cli('network', 'rm', network);
  await until('the next subnet is the one that it was before', () => subnetOfNew(swarm), {
    accept: (subnetNow) => subnetNow === first,
  });
}

const hasTasks = {
  accept: (tasks: readonly unknown[]) => tasks.length > 0,
  timeoutMs: patienceMs,
};

/** Every third publishes a port. */
function spec(swarm: TestSwarm, name: string) {
  const isPublished = Number(name.split('-').at(-1)) % 3 === 0;
  const ports = isPublished ? [{ Protocol: 'tcp', TargetPort: 80, PublishMode: 'ingress' }] : [];
  return {
    Name: name,
    TaskTemplate: {
      ContainerSpec: { Image: imageOf(swarm, 'sleeper:1') },
      Networks: [{ Target: network }],
    },
    Mode: { Replicated: { Replicas: 1 } },
    EndpointSpec: { Ports: ports },
  };
}

/** As many as there are, to one service; one more waits for one of them, and says so. */
async function allAddressesAreFree(swarm: TestSwarm): Promise<void> {
  const flags = ['--endpoint-mode', 'dnsrr', '--network', network];
  const image = imageOf(swarm, 'sleeper:1');
  await swarm.createDetached('all', '--replicas', String(addresses), ...flags, image);
  await swarm.runs('all', addresses, patienceMs);
  const held = [...(await addressesOf(swarm, 'all', network)).values()].flat();
  assert.equal(new Set(held).size, addresses);
  await swarm.createDetached('more', ...flags, image);
  const says = new RegExp(`no free address on network ${network} .* all ${addresses} addresses`);
  await until('ps says why', () => swarm.cli('service', 'ps', '--no-trunc', 'more'), {
    accept: (text) => says.test(text),
    timeoutMs: patienceMs,
  });
  await swarm.cli('service', 'scale', '--detach', `all=${addresses - 1}`);
  await swarm.runs('more', 1, patienceMs);
}

/** Of a network that is removed at once, with a number that then is free as well. */
async function subnetOfNew(swarm: TestSwarm): Promise<string> {
  const option = `com.docker.network.driver.overlay.vxlanid_list=${vni}`;
  await swarm.cli('network', 'create', '-d', 'overlay', '--opt', option, 'brief');
  const { IPAM } = await swarm.manager.api<WireNetwork>('GET', '/networks/brief');
  await swarm.cli('network', 'rm', 'brief');
  return IPAM.Config[0]?.Subnet ?? '';
}

/** How many of each kind the manager's store holds. */
async function objects(swarm: TestSwarm): Promise<readonly string[]> {
  const response = await fetch(`http://${swarm.manager.address}:9323/metrics`);
  const lines = (await response.text()).split('\n');
  const found = lines.filter((line) => line.startsWith('ts_swarm_store_objects{'));
  assert.ok(found.length > 0, 'the manager tells what it holds');
  return found.toSorted();
}
