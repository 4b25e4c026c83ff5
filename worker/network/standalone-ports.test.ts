import { strict as assert } from 'node:assert';
import { silentLogger } from '../../lib/log.ts';
import { inScratchNamespace } from './namespace.ts';
import { NetfilterSocket, removeTable } from './nft/index.ts';
import { StandalonePorts, type PortLead } from './standalone-ports.ts';

const lead = (protocol: PortLead['protocol'], hostIp: string, hostPort: number): PortLead => ({
  protocol,
  hostIp,
  hostPort,
  address: hostIp.includes(':') ? 'fd00:1::2' : '172.18.0.2',
  containerPort: 80,
});
const leads: readonly PortLead[] = [
  lead('tcp', '0.0.0.0', 8080),
  lead('tcp', '::', 8080),
  lead('udp', '192.168.1.5', 53),
  lead('sctp', 'fd00::5', 99),
];
const families = ['ip', 'ip6'] as const;

/** The rules in a namespace of their own, beside somebody who changes netfilter as well. */
function withPorts(work: (ports: StandalonePorts, somebody: NetfilterSocket) => void): void {
  inScratchNamespace(() => {
    const ports = new StandalonePorts(silentLogger);
    using somebody = new NetfilterSocket();
    work(ports, somebody);
    void ports[Symbol.asyncDispose]();
  });
}

const flush = (socket: NetfilterSocket) =>
  socket.commit(families.flatMap((family) => removeTable({ family, name: 'ts_swarm_standalone' })));

describe('ports that lead to standalone containers', () => {
  it('are left as they are where nothing differs, as for a daemon that comes anew', () => {
    withPorts((ports, somebody) => {
      ports.replace(leads);
      const before = somebody.generation();
      const next = new StandalonePorts(silentLogger);
      next.replace(leads);
      assert.deepEqual(next.check(), []);
      assert.equal(somebody.generation(), before);
      void next[Symbol.asyncDispose]();
    });
  });

  it('come back when somebody flushes the rules of the host', () => {
    withPorts((ports, somebody) => {
      ports.replace(leads);
      assert.deepEqual(ports.check(), []);
      flush(somebody);
      const [repair, ...more] = ports.check();
      assert.equal(repair?.kind, 'nft');
      assert.match(repair?.what ?? '', /^ports of standalone containers: the chain .* is missing/);
      assert.deepEqual(more, []);
      assert.deepEqual(ports.check(), []);
    });
  });

  it('come back with the next change, and with the next audit what is missing of them', () => {
    withPorts((ports, somebody) => {
      ports.replace(leads);
      flush(somebody);
      ports.change(leads.slice(0, 2), [lead('tcp', '0.0.0.0', 8081)]);
      assert.deepEqual(ports.check(), []);
      somebody.commit(removeTable({ family: 'ip6', name: 'ts_swarm_standalone' }));
      assert.equal(ports.check().length, 1);
      assert.deepEqual(ports.check(), []);
    });
  });

  it('are not touched by an audit that comes before it is known what they are', () => {
    withPorts((ports, somebody) => {
      ports.replace(leads);
      const before = somebody.generation();
      assert.deepEqual(new StandalonePorts(silentLogger).check(), []);
      assert.equal(somebody.generation(), before);
    });
  });

  it('may change any number of times, and lead elsewhere', () => {
    withPorts((ports) => {
      ports.replace([]);
      const [first] = leads;
      assert.ok(first);
      ports.change([], leads);
      ports.change([first], [{ ...first, address: '172.18.0.9' }]);
      ports.change([{ ...first, address: '172.18.0.9' }, ...leads.slice(1)], []);
      assert.deepEqual(ports.check(), []);
    });
  });
});
