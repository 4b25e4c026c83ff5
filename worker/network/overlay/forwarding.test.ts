import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import { ForwardingTable, type Claim, type ForwardingChanges } from './forwarding.ts';

const macs = ['02:42:0a:00:00:01', '02:42:0a:00:00:02', '02:42:0a:00:00:03'];
const nodes = ['self', 'a', 'b', 'lost'];
const owners = ['t1', 't2', 't3', 't4', 't5'];

type Step =
  | { readonly owner: string; readonly claim: Claim | undefined }
  | { readonly node: string; readonly destination: string | undefined }
  | 'flush';

const claims: fc.Arbitrary<Claim> = fc.record({
  mac: fc.constantFrom(...macs),
  nodeId: fc.constantFrom(...nodes),
  addresses: fc.subarray(['10.0.0.1', 'fd00::1', 'fd00::2'], { minLength: 1 }),
});
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    owner: fc.constantFrom(...owners),
    claim: fc.option(claims, { nil: undefined }),
  }),
  fc.record({
    node: fc.constantFrom('a', 'b'),
    destination: fc.option(fc.constantFrom('192.168.0.1', '192.168.0.2'), { nil: undefined }),
  }),
  fc.constant('flush' as const),
);

/** The kernel, as far as it is told of changes: a MAC's node, and an address's MAC. */
class Kernel {
  readonly entries = new Map<string, string>();
  readonly neighbours = new Map<string, Set<string>>();

  take({ gone, set }: ForwardingChanges): void {
    for (const { mac, addresses } of gone) {
      assert.ok(this.entries.delete(mac), 'nothing is taken away that is not there');
      for (const address of addresses) this.neighbours.get(mac)?.delete(address);
    }
    for (const { mac, destination, addresses, former } of set) {
      this.entries.set(mac, destination);
      const known = this.neighbours.get(mac) ?? new Set<string>();
      this.neighbours.set(mac, known);
      for (const address of former) assert.ok(known.delete(address));
      for (const address of addresses) known.add(address);
    }
  }
}

describe('forwarding of an overlay network', () => {
  it('is what the endpoints and nodes say, whatever order the news comes in', () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 40 }), (all) => {
        const destinations = new Map<string, string>();
        const table = new ForwardingTable((nodeId) => destinations.get(nodeId));
        const kernel = new Kernel();
        const model = new Map<string, Claim>();
        for (const step of all) {
          if (step === 'flush') {
            kernel.take(table.flush());
          } else if ('owner' in step) {
            table.put(step.owner, step.claim);
            const old = model.get(step.owner);
            // The latest claim on a MAC holds; said again, it is not a new one.
            if (JSON.stringify(old) === JSON.stringify(step.claim)) continue;
            model.delete(step.owner);
            if (step.claim !== undefined) model.set(step.owner, step.claim);
          } else {
            if (step.destination === undefined) destinations.delete(step.node);
            else destinations.set(step.node, step.destination);
            table.peerChanged(step.node);
          }
        }
        kernel.take(table.flush());
        const wanted = new Map<string, { destination: string; addresses: readonly string[] }>();
        for (const { mac, nodeId, addresses } of model.values()) {
          const destination = destinations.get(nodeId);
          if (destination === undefined) wanted.delete(mac);
          else wanted.set(mac, { destination, addresses });
        }
        const destinationsOf = [...wanted].map(
          ([mac, { destination }]) => [mac, destination] as const,
        );
        assert.deepEqual(kernel.entries, new Map(destinationsOf));
        for (const mac of macs) {
          const known = kernel.neighbours.get(mac) ?? new Set();
          assert.deepEqual(known, new Set(wanted.get(mac)?.addresses));
        }
        assert.deepEqual(table.flush(), { gone: [], set: [] });
      }),
    );
  });

  it('does nothing for news that is nothing to it', () => {
    const table = new ForwardingTable(() => '192.168.0.1');
    const claim = { mac: macs[0]!, nodeId: 'a', addresses: ['10.0.0.1'] };
    table.put('t1', claim);
    assert.equal(table.flush().set.length, 1);
    table.put('t1', { ...claim });
    table.peerChanged('a');
    assert.deepEqual(table.flush(), { gone: [], set: [] });
  });
});
