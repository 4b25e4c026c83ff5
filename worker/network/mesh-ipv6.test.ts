import { strict as assert } from 'node:assert';
import type {
  AssignedEndpoint,
  AssignedNetwork,
  AssignedPeer,
  NetworkAssignments,
} from '../../types/index.ts';
import { derivedAddress, derivedMesh, ownPlace, withMeshIpv6 } from './mesh-ipv6.ts';
import { NetworkTables } from './tables.ts';
import { testEndpoint, testNetwork } from './testing/hosts.ts';

type Update = NetworkAssignments['update'][number];

const mesh = testNetwork('ingress', 4096, { ingress: true });
const peer = (id: string, address: string, ipv6: boolean): AssignedPeer => ({
  id,
  dataPath: { address: '192.0.2.1', ...(ipv6 ? { ipv6 } : {}) },
  ingressAddresses: [address],
});
const endpoint = (id: string, nodeId: string, more: Partial<AssignedEndpoint> = {}) => ({
  ...testEndpoint('ingress', id, nodeId, [`10.0.9.${id.slice(1)}/24`]),
  ...more,
});
const network = (object: AssignedNetwork): Update => ({ type: 'network', object });
const ofPeer = (object: AssignedPeer): Update => ({ type: 'peer', object });
const ofEndpoint = (object: AssignedEndpoint): Update => ({ type: 'endpoint', object });

/** One node's tables, as sets come in. */
class Node {
  readonly tables = new NetworkTables();
  carriesIpv6 = true;

  take(...update: readonly Update[]): readonly string[] {
    const set = { complete: false, update, remove: [] };
    const self = { id: 'n1', carriesIpv6: this.carriesIpv6 };
    const delta = this.tables.apply(withMeshIpv6(set, this.tables, self));
    return delta.changes.map(({ type, id }) => `${type} ${id}`).toSorted();
  }

  /** How many addresses each endpoint and each peer has. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([
      ...[...this.tables.peers()].map((one) => [one.id, one.ingressAddresses.length] as const),
      ...[...this.tables.endpointsOf('ingress')].map(
        ({ taskId, addresses }) => [taskId, addresses.length] as const,
      ),
    ]);
  }
}

const all = (): readonly Update[] => [
  ofPeer(peer('n1', '10.0.9.2/24', false)),
  ofPeer(peer('n2', '10.0.9.3/24', true)),
  ofPeer(peer('n3', '10.0.9.4/24', false)),
  ofEndpoint(endpoint('t11', 'n1')),
  ofEndpoint(endpoint('t12', 'n2')),
  ofEndpoint(endpoint('t13', 'n3')),
  ofEndpoint(endpoint('t14', 'n2', { ipv4Only: true })),
];

describe('IPv6 of a routing mesh that was made without', () => {
  it('follows from the IPv4 addresses, for nodes that carry it', () => {
    const node = new Node();
    node.take(network(mesh), ...all());
    assert.deepEqual(node.counts, { n1: 2, n2: 2, n3: 1, t11: 2, t12: 2, t13: 1, t14: 1 });
    assert.equal(derivedMesh(node.tables), 'ingress');
    const [, derived] = [...node.tables.endpointsOf('ingress')][0]?.addresses ?? [];
    assert.equal(derived, derivedAddress('ingress', '10.0.9.11/24'));
    assert.match(derived ?? '', /^fd[0-9a-f:]+::a00:90b\/96$/);
    assert.notEqual(derived, derivedAddress('another', '10.0.9.11/24'));
  });

  it('does not touch other networks, nor a mesh that has IPv6 of its own', () => {
    for (const one of [
      testNetwork('other', 4097),
      { ...mesh, subnets: [...mesh.subnets, { subnet: 'fd00:a::/64', gateway: 'fd00:a::1' }] },
      { ...mesh, encrypted: true },
    ]) {
      const node = new Node();
      node.take(network(one), ...all());
      assert.deepEqual(node.tables.network(one.id), one);
      assert.ok(Object.values(node.counts).every((count) => count === 1));
    }
  });

  it('comes and goes with what a node says of itself', () => {
    const node = new Node();
    node.take(network(mesh), ...all());
    const changed = node.take(ofPeer(peer('n3', '10.0.9.4/24', true)));
    assert.deepEqual(changed, ['endpoint ingress/t13', 'peer n3']);
    assert.deepEqual([node.counts['n3'], node.counts['t13']], [2, 2]);
    node.take(ofPeer(peer('n2', '10.0.9.3/24', false)));
    assert.deepEqual([node.counts['n2'], node.counts['t12']], [1, 1]);
  });

  it('comes and goes with what this node can carry', () => {
    const node = new Node();
    node.carriesIpv6 = false;
    node.take(network(mesh), ...all());
    assert.ok(Object.values(node.counts).every((count) => count === 1));
    assert.deepEqual(node.take(), []);
    node.carriesIpv6 = true;
    const moved = node.take();
    assert.deepEqual(moved, [
      'endpoint ingress/t11',
      'endpoint ingress/t12',
      'network ingress',
      'peer n1',
      'peer n2',
    ]);
    assert.deepEqual(node.take(), []);
    node.carriesIpv6 = false;
    assert.deepEqual(node.take(), moved);
    assert.deepEqual(node.tables.network('ingress'), mesh);
  });

  it('tells of endpoints that come before the network, as soon as it is there', () => {
    const node = new Node();
    node.take(...all());
    node.take(network(mesh));
    assert.equal(node.counts['t11'], 2);
    assert.equal(node.counts['t13'], 1);
  });

  it('gives a container its own address, unless IPv6 is off there', () => {
    const node = new Node();
    node.take(network(mesh));
    const place = { networkId: 'ingress', addresses: ['10.0.9.11/24'] };
    const known = node.tables.network('ingress');
    assert.equal(ownPlace(place, known, false).addresses.length, 2);
    assert.equal(ownPlace(place, undefined, false).addresses.length, 1);
    const both = { networkId: 'two', addresses: ['10.0.5.2/24', 'fd00::2/64'] };
    assert.deepEqual(ownPlace(both, undefined, false), both);
    assert.deepEqual(ownPlace(both, undefined, true).addresses, ['10.0.5.2/24']);
    assert.deepEqual(ownPlace(place, known, true), place);
  });
});
