import { strict as assert } from 'node:assert';
import { seededRandom } from '../../../lib/random.ts';
import { NetworkTables } from '../tables.ts';
import { answerQuestion, type Surroundings } from './answer.ts';
import { NameIndex } from './name-index.ts';
import { completeSet, endpoint, network, service } from './testing.ts';

const front = network('front');
const back = network('back', {
  subnets: [
    { subnet: '10.0.2.0/24', gateway: '10.0.2.1' },
    { subnet: 'fd00:2::/64', gateway: 'fd00:2::1' },
  ],
});
/** The same subnet as `front`, and nobody of it is on `front`. */
const apart = network('apart');
const mesh = network('mesh', { ingress: true });

const tables = new NetworkTables();
tables.apply(
  completeSet({
    networks: [front, back, apart, mesh],
    services: [
      service('front', 'web', ['10.0.1.2'], {
        names: ['web', 'www', 'both'],
        ports: [{ name: 'http', protocol: 'tcp', targetPort: 8080, publishMode: 'ingress' }],
      }),
      service('front', 'api', []),
      service('front', 'other', ['10.0.1.3'], { names: ['other', 'both'] }),
      service('back', 'web', ['10.0.2.2']),
      service('back', 'db', ['10.0.2.3', 'fd00:2::3'], { names: ['db'] }),
      service('apart', 'secret', ['10.0.1.2']),
    ],
    endpoints: [
      endpoint('front', 'web.1.aaa', ['10.0.1.11/24'], { serviceId: 'web', aliases: ['www'] }),
      endpoint('front', 'web.2.bbb', ['10.0.1.12/24'], { serviceId: 'web', active: false }),
      endpoint('front', 'api.1.ccc', ['10.0.1.21/24'], { aliases: ['blue'] }),
      endpoint('front', 'api.2.ddd', ['10.0.1.22/24'], { aliases: ['blue'] }),
      endpoint('front', 'api.3.eee', ['10.0.1.23/24'], { aliases: ['blue'], active: false }),
      endpoint('front', 'alone', ['10.0.1.31/24'], { serviceId: '', names: ['alone', 'c0ffee'] }),
      endpoint('back', 'db.1.fff', ['10.0.2.11/24', 'fd00:2::b/64']),
      endpoint('apart', 'secret.1.ggg', ['10.0.1.11/24']),
    ],
  }),
);

/** What the container that asks calls others. */
const links = new Map([
  ['back', { data: 'db', self: 'nobody' }],
  ['apart', { secret: 'secret.1.ggg' }],
  ['front', { one: 'c0ffee' }],
]);

const cases: {
  name: string;
  ask: [type: string, name: string];
  networks?: (typeof front)[];
  /** Sorted; undefined: not the swarm's. */
  expect: string[] | undefined;
}[] = [
  { name: 'a service by its VIP', ask: ['A', 'web'], expect: ['10.0.1.2'] },
  { name: 'whatever the case, and a dot', ask: ['A', 'WeB.'], expect: ['10.0.1.2'] },
  { name: 'an alias of a service by its VIP alone', ask: ['A', 'www'], expect: ['10.0.1.2'] },
  { name: 'two services of one name', ask: ['A', 'both'], expect: ['10.0.1.2', '10.0.1.3'] },
  { name: 'active endpoints of dnsrr', ask: ['A', 'api'], expect: ['10.0.1.21', '10.0.1.22'] },
  { name: 'tasks of a VIP service', ask: ['A', 'tasks.web'], expect: ['10.0.1.11'] },
  { name: 'tasks by another name', ask: ['A', 'tasks.WWW'], expect: ['10.0.1.11'] },
  { name: 'an alias of endpoints', ask: ['A', 'blue'], expect: ['10.0.1.21', '10.0.1.22'] },
  { name: 'a task', ask: ['A', 'web.1.aaa'], expect: ['10.0.1.11'] },
  { name: 'a task that is not active', ask: ['A', 'web.2.bbb'], expect: [] },
  { name: 'a container by its id', ask: ['A', 'c0ffee'], expect: ['10.0.1.31'] },
  { name: 'with the network’s name', ask: ['A', 'web.front-net'], expect: ['10.0.1.2'] },
  { name: 'tasks with it', ask: ['A', 'tasks.api.front-net'], expect: ['10.0.1.21', '10.0.1.22'] },
  { name: 'the wrong network’s name', ask: ['A', 'api.back-net'], expect: undefined },
  {
    name: 'the first network wins',
    ask: ['A', 'web'],
    networks: [back, front],
    expect: ['10.0.2.2'],
  },
  { name: 'another network’s name', ask: ['A', 'secret'], expect: undefined },
  { name: 'a network one is not on', ask: ['A', 'db'], networks: [front], expect: undefined },
  { name: 'what nobody knows', ask: ['A', 'example.com'], expect: undefined },
  { name: 'tasks of nobody', ask: ['A', 'tasks.nobody'], expect: undefined },
  { name: 'a link', ask: ['A', 'Data'], expect: ['10.0.2.3'] },
  { name: 'a link to an id', ask: ['A', 'one'], expect: ['10.0.1.31'] },
  { name: 'a link with the network’s name', ask: ['AAAA', 'data.back-net'], expect: ['fd00:2::3'] },
  { name: 'a link to nobody', ask: ['A', 'self'], expect: undefined },
  {
    name: 'a link on a network one is not on',
    ask: ['A', 'data'],
    networks: [front],
    expect: undefined,
  },
  { name: 'a link before a name', ask: ['A', 'secret'], networks: [apart], expect: ['10.0.1.11'] },
  { name: 'IPv6 of what has none', ask: ['AAAA', 'web'], expect: [] },
  { name: 'IPv6 of what has', ask: ['AAAA', 'db'], expect: ['fd00:2::3'] },
  { name: 'IPv6 of endpoints', ask: ['AAAA', 'tasks.db'], expect: ['fd00:2::b'] },
  { name: 'IPv6 of what nobody knows', ask: ['AAAA', 'example.com'], expect: undefined },
  { name: 'anything', ask: ['ANY', 'db'], expect: ['10.0.2.3', 'fd00:2::3'] },
  { name: 'text of ours', ask: ['TXT', 'web'], expect: [] },
  { name: 'an unknown type of ours', ask: ['UNKNOWN_65', 'web'], expect: [] },
  { name: 'mail of others', ask: ['MX', 'example.com'], expect: undefined },
  {
    name: 'the name of a task’s address',
    ask: ['PTR', '11.1.0.10.in-addr.arpa'],
    expect: ['web.1.aaa.front-net'],
  },
  { name: 'of a VIP', ask: ['PTR', '2.1.0.10.IN-ADDR.ARPA.'], expect: ['web.front-net'] },
  {
    name: 'the name of the same address elsewhere',
    ask: ['PTR', '11.1.0.10.in-addr.arpa'],
    networks: [apart],
    expect: ['secret.1.ggg.apart-net'],
  },
  {
    name: 'of an IPv6 address of ours',
    ask: ['PTR', reverseIpv6('fd00', '0002', '0000', '0000', '0000', '0000', '0000', '000b')],
    expect: ['db.1.fff.back-net'],
  },
  { name: 'of an address outside', ask: ['PTR', '8.8.8.8.in-addr.arpa'], expect: undefined },
  { name: 'of no address', ask: ['PTR', '1.0.10.in-addr.arpa'], expect: undefined },
  {
    name: 'ports by number',
    ask: ['SRV', '_80._tcp.api'],
    expect: ['api.1.ccc.front-net:80', 'api.2.ddd.front-net:80'],
  },
  { name: 'ports by name', ask: ['SRV', '_HTTP._tcp.web'], expect: ['web.1.aaa.front-net:8080'] },
  { name: 'ports by another protocol', ask: ['SRV', '_http._udp.web'], expect: [] },
  { name: 'ports that are none', ask: ['SRV', '_99999._tcp.web'], expect: [] },
  { name: 'ports of others', ask: ['SRV', '_ldap._tcp.example.com'], expect: undefined },
];

function reverseIpv6(...groups: string[]): string {
  return groups.join('').split('').toReversed().join('.') + '.ip6.arpa';
}

function around(networks: (typeof front)[], seed = 1): Surroundings {
  return { names: NameIndex.of(tables), networks, links, random: seededRandom(seed) };
}

describe('answers about names', () => {
  for (const { name, ask, networks = [front, back], expect } of cases) {
    it(name, () => {
      const [type, asked] = ask;
      const answer = answerQuestion({ type, name: asked }, around(networks));
      const data = answer?.answers.map((record) => {
        assert.equal(record.name, asked, 'the name is given back as it was asked');
        assert.ok('data' in record);
        return record.type === 'SRV'
          ? `${record.data.target}:${record.data.port}`
          : JSON.stringify(record.data).slice(1, -1);
      });
      assert.deepEqual(data?.sort(), expect);
      if (answer !== undefined) assert.equal(answer.isKnown, true);
    });
  }

  it('says that nobody has a free address of a network, and asks nobody else', () => {
    const question = { type: 'PTR', name: '99.1.0.10.in-addr.arpa' };
    const answer = answerQuestion(question, around([front]));
    assert.deepEqual(answer, { isKnown: false, answers: [], additionals: [] });
  });

  it('gives the addresses with the targets of SRV', () => {
    const answer = answerQuestion({ type: 'SRV', name: '_80._tcp.api' }, around([front]));
    const addresses = answer?.additionals.map((record) => 'data' in record && record.data);
    assert.deepEqual(new Set(addresses), new Set(['10.0.1.21', '10.0.1.22']));
  });

  it('changes the order of endpoints', () => {
    const firsts = new Set(
      Array.from({ length: 20 }, (_, seed) => {
        const answer = answerQuestion({ type: 'A', name: 'api' }, around([front], seed));
        const [first] = answer?.answers ?? [];
        return first !== undefined && 'data' in first ? first.data : undefined;
      }),
    );
    assert.deepEqual(firsts, new Set(['10.0.1.21', '10.0.1.22']));
  });
});
