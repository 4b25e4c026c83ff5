import { strict as assert } from 'node:assert';
import { silentLogger } from '../../../lib/log.ts';
import { inScratchNamespace } from '../namespace.ts';
import { addTable, NetfilterSocket, removeTable, structureDifference } from '../nft/index.ts';
import { PortRules } from './rules.ts';
import { formerTable, ipv4, tableFor, type PortLead } from './ruleset.ts';

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

const wayOut = { bridge: 'ts-swarm0', subnet: '172.18.0.0/16' };

/** The rules in a namespace of their own, beside somebody who changes netfilter as well. */
function withRules(work: (rules: PortRules, somebody: NetfilterSocket) => void): void {
  inScratchNamespace(() => {
    using rules = new PortRules(silentLogger);
    using somebody = new NetfilterSocket();
    rules.open(wayOut);
    work(rules, somebody);
  });
}

const flush = (socket: NetfilterSocket) =>
  socket.commit(families.flatMap((family) => removeTable({ family, name: 'ts_swarm' })));

describe('rules by which ports of this host lead to containers', () => {
  it('are left as they are where nothing differs, as for a daemon that comes anew', () => {
    withRules((rules, somebody) => {
      rules.replace(leads);
      const before = somebody.generation();
      using next = new PortRules(silentLogger);
      next.open(wayOut);
      next.change([], leads.slice(0, 2));
      next.replace(leads);
      assert.deepEqual(next.check(), []);
      assert.equal(somebody.generation(), before);
    });
  });

  it('come back when somebody flushes the rules of the host', () => {
    withRules((rules, somebody) => {
      rules.replace(leads);
      assert.deepEqual(rules.check(), []);
      flush(somebody);
      const [repair, ...more] = rules.check();
      assert.equal(repair?.kind, 'nft');
      assert.match(
        repair?.what ?? '',
        /^published ports of this host: the chain .* is missing \(ip\)$/,
      );
      assert.deepEqual(more, []);
      assert.deepEqual(rules.check(), []);
    });
  });

  it('come back with the next change, and with the next audit what is missing of them', () => {
    withRules((rules, somebody) => {
      rules.replace(leads);
      flush(somebody);
      rules.change(leads.slice(0, 2), [lead('tcp', '0.0.0.0', 8081)]);
      assert.deepEqual(rules.check(), []);
      somebody.commit(removeTable({ family: 'ip6', name: 'ts_swarm' }));
      assert.equal(rules.check().length, 1);
      assert.deepEqual(rules.check(), []);
    });
  });

  it('lead on while only a part of them is known, and then are those that are known', () => {
    withRules((rules, somebody) => {
      rules.replace(leads);
      using next = new PortRules(silentLogger);
      next.open(wayOut);
      next.change([], leads.slice(0, 1));
      rules.change(leads.slice(1, 2), []);
      assert.deepEqual(rules.check(), []);
      next.replace(leads.slice(0, 1));
      assert.deepEqual(next.check(), []);
      const before = somebody.generation();
      next.replace(leads.slice(0, 1));
      assert.equal(somebody.generation(), before);
    });
  });

  it('take the place of those that former daemons kept apart', () => {
    inScratchNamespace(() => {
      using somebody = new NetfilterSocket();
      const former = { ...tableFor(ipv4, undefined), ...formerTable(ipv4) };
      somebody.commit(addTable(former));
      assert.equal(structureDifference(somebody, former), undefined);
      using rules = new PortRules(silentLogger);
      rules.open(wayOut);
      assert.equal(structureDifference(somebody, former), 'the chain raw is missing');
    });
  });

  it('may change any number of times, and lead elsewhere', () => {
    withRules((rules) => {
      rules.replace([]);
      const [first] = leads;
      assert.ok(first);
      rules.change([], leads);
      rules.change([first], [{ ...first, address: '172.18.0.9' }]);
      rules.change([{ ...first, address: '172.18.0.9' }, ...leads.slice(1)], []);
      assert.deepEqual(rules.check(), []);
    });
  });
});
