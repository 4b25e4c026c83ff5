import { strict as assert } from 'node:assert';
import { SwarmError } from '../../../lib/errors.ts';
import { Wires, type Place } from '../../../test/wires/wires.ts';
import { addressBytes } from '../netlink/wire.ts';
import {
  addElements,
  addTable,
  anyOf,
  be16,
  bits,
  concat,
  constant,
  counter,
  ct,
  ctStates,
  destinationType,
  difference,
  equals,
  interfaceName,
  isFamily,
  isIn,
  isLocal,
  isProtocol,
  lowerSegment,
  mapped,
  masquerade,
  meta,
  native32,
  Netfilter,
  packet,
  payload,
  priorities,
  random,
  reject,
  removeElements,
  removeTable,
  routeSegment,
  setCtMark,
  setLinkBytes,
  setMark,
  setOriginalZone,
  swapped,
  translate,
  verdict,
  verdictOf,
  type Rule,
  type Table,
} from './index.ts';

/** A rule, and how the tool nft writes it. */
const rules: readonly { name: string; rule: Rule; expect: string; at?: 'output' | 'prerouting' }[] =
  [
    {
      name: 'addresses, ports and protocols',
      rule: [
        isFamily.ip,
        equals(packet.ipv4Destination, addressBytes('10.0.1.2')),
        isProtocol('tcp'),
        equals(packet.destinationPort, be16(80)),
        counter,
      ],
      expect: 'ip daddr 10.0.1.2 tcp dport 80 counter packets 0 bytes 0',
    },
    {
      name: 'names of interfaces',
      rule: [equals(meta.outputName, interfaceName('eth0')), verdict('drop')],
      expect: 'oifname "eth0" drop',
    },
    {
      name: 'a reset',
      rule: [isProtocol('tcp'), reject('tcp-reset')],
      expect: 'meta l4proto tcp reject with tcp reset',
    },
    {
      name: 'an answer of either family that the port is closed',
      rule: [isIn(packet.destinationPort, 'ports'), reject('port-unreachable')],
      expect: 'th dport @ports reject',
    },
    {
      name: 'a jump',
      rule: [verdict('jump', 'other')],
      expect: 'jump other',
    },
    {
      name: 'a map of verdicts',
      rule: [isFamily.ip, verdictOf(packet.ipv4Destination, 'chains')],
      expect: 'ip daddr vmap @chains',
    },
    {
      name: 'marks of connections',
      rule: [
        equals(bits(ct.mark, native32(0xff000000)), native32(0x54000000)),
        setMark(ct.mark),
        anyOf(ct.state, ctStates.new),
      ],
      expect: 'ct mark 0x54000000/8 meta mark set ct mark ct state new',
    },
    {
      name: 'what is for this host',
      rule: [equals(destinationType, native32(isLocal))],
      expect: 'fib daddr type local',
      at: 'prerouting',
    },
    {
      name: 'translation by a map of addresses and ports',
      rule: [
        isFamily.ip,
        isProtocol('tcp'),
        translate('dnat', 'ip', mapped(random(3), 'targets', 8), true),
      ],
      expect: 'meta nfproto ipv4 meta l4proto tcp dnat ip to numgen random mod 3 map @targets',
    },
  ];

describe('nft', () => {
  let wires: Wires;
  let place: Place;
  let netfilter: Netfilter;
  let made = 0;

  before(() => {
    wires = new Wires();
  });
  beforeEach(() => {
    place = wires.add(`n${made++}`);
    netfilter = new Netfilter();
  });
  afterEach(() => wires.remove(place));
  after(() => wires[Symbol.asyncDispose]());

  const table = (rule: Rule, at: 'output' | 'prerouting' = 'output'): Table => ({
    family: 'inet',
    name: 'test',
    sets: [
      { name: 'ports', key: ['port'] },
      { name: 'numbers', key: ['number'] },
      { name: 'chains', key: ['ipv4'], data: 'verdict' },
      { name: 'targets', key: ['number'], data: ['ipv4', 'port'] },
    ],
    chains: [
      {
        name: 'first',
        base: { type: 'nat', at, priority: priorities.destinationNat },
        rules: [],
      },
      { name: 'other', rules: [] },
      { name: 'shown', base: { type: 'filter', at, priority: 0 }, rules: [rule] },
    ],
  });

  for (const { name, rule, expect, at } of rules) {
    it(`writes ${name} as nft does`, () => {
      const isNat = expect.includes('dnat');
      const wanted = table(rule, at);
      const shown: Table = isNat
        ? {
            ...wanted,
            chains: [
              { name: 'other', rules: [] },
              { name: 'shown', base: { type: 'nat', at: 'output', priority: -100 }, rules: [rule] },
            ],
          }
        : wanted;
      netfilter.commit(place.path, addTable(shown));
      const listed = wires.run(place, 'nft', 'list', 'chain', 'inet', 'test', 'shown');
      assert.ok(listed.includes(`\t\t${expect}\n`), listed);
      assert.equal(
        netfilter.inside(place.path, (socket) => difference(socket, shown, new Map())),
        undefined,
      );
    });
  }

  it('writes elements of sets and maps', () => {
    const wanted = table([]);
    const elements = new Map([
      ['ports', [{ key: be16(80) }, { key: be16(443) }]],
      ['chains', [{ key: addressBytes('10.0.1.2'), goTo: 'other' }]],
      [
        'targets',
        [
          {
            key: native32(0),
            data: Buffer.concat([addressBytes('10.0.0.5'), be16(80), Buffer.alloc(2)]),
          },
        ],
      ],
    ]);
    netfilter.commit(place.path, [
      ...addTable(wanted),
      ...[...elements].flatMap(([set, list]) => addElements(wanted, set, list)),
    ]);
    const { nftables } = JSON.parse(
      wires.run(place, 'nft', '-j', 'list', 'table', 'inet', 'test'),
    ) as {
      nftables: {
        set?: { name: string; elem?: unknown };
        map?: { name: string; elem?: unknown };
      }[];
    };
    const found = new Map(
      nftables.flatMap(({ set, map }) => {
        const one = set ?? map;
        return one === undefined ? [] : [[one.name, one.elem] as const];
      }),
    );
    assert.deepEqual(found.get('ports'), [80, 443]);
    assert.deepEqual(found.get('chains'), [['10.0.1.2', { goto: { target: 'other' } }]]);
    assert.deepEqual(found.get('targets'), [[0, { concat: ['10.0.0.5', 80] }]]);
    const differs = (changed: typeof elements) =>
      netfilter.inside(place.path, (socket) => difference(socket, wanted, changed));
    assert.equal(differs(elements), undefined);
    assert.equal(
      differs(new Map([...elements, ['ports', [{ key: be16(80) }]]])),
      'ports has an element that it should not have',
    );
  });

  it('takes many elements at once, and gives them up', () => {
    const wanted = table([]);
    const list = Array.from({ length: 20_000 }, (_, index) => ({ key: native32(index) }));
    netfilter.commit(place.path, [...addTable(wanted), ...addElements(wanted, 'numbers', list)]);
    const whole = new Map([['numbers', list]]);
    const differs = () =>
      netfilter.inside(place.path, (socket) => difference(socket, wanted, whole));
    assert.equal(differs(), undefined);
    netfilter.commit(place.path, removeElements(wanted, 'numbers', list.slice(0, 1)));
    assert.equal(differs(), 'numbers has 19999 of 20000 elements');
  });

  it('names what the kernel refuses, and leaves everything as it was', () => {
    const wanted = table([]);
    netfilter.commit(place.path, addTable(wanted));
    assert.throws(
      () =>
        netfilter.commit(place.path, [
          ...addElements(wanted, 'ports', [{ key: be16(80) }]),
          ...removeElements(wanted, 'chains', [{ key: addressBytes('10.0.1.2') }]),
          ...addElements(wanted, 'ports', [{ key: be16(81) }]),
        ]),
      (error) =>
        error instanceof SwarmError &&
        error.message === 'netfilter refused to remove 1 elements of chains: ENOENT',
    );
    assert.equal(
      netfilter.inside(place.path, (socket) => difference(socket, wanted, new Map())),
      undefined,
    );
    assert.equal(netfilter.wasTouched(place.path), false);
  });

  it('notices that somebody else has written', () => {
    const wanted = table([]);
    netfilter.commit(place.path, addTable(wanted));
    netfilter.commit(place.path, addElements(wanted, 'ports', [{ key: be16(80) }]));
    assert.equal(netfilter.wasTouched(place.path), false);
    wires.run(place, 'nft', 'flush', 'chain', 'inet', 'test', 'shown');
    assert.equal(netfilter.wasTouched(place.path), true);
    netfilter.settle(place.path);
    assert.equal(netfilter.wasTouched(place.path), false);
  });

  const damages = [
    { what: 'delete table inet test', expect: 'the chain first is missing' },
    { what: 'flush chain inet test shown', expect: 'the chain shown has 0 rules' },
    { what: 'add rule inet test other drop', expect: 'there are 2 rules instead of 1' },
    { what: 'add chain inet test third', expect: 'there are 4 chains instead of 3' },
    {
      what: 'flush chain inet test shown; add rule inet test shown tcp dport 81 drop',
      expect: 'the rule 1 of the chain shown is another',
    },
  ];
  for (const { what, expect } of damages) {
    it(`finds what is wrong after "${what}"`, () => {
      const wanted = table([
        isProtocol('tcp'),
        equals(packet.destinationPort, be16(80)),
        verdict('drop'),
      ]);
      netfilter.commit(place.path, addTable(wanted));
      wires.run(place, 'nft', what);
      const found = netfilter.inside(place.path, (socket) => difference(socket, wanted, new Map()));
      assert.equal(found, expect);
      netfilter.commit(place.path, [...removeTable(wanted), ...addTable(wanted)]);
      assert.equal(
        netfilter.inside(place.path, (socket) => difference(socket, wanted, new Map())),
        undefined,
      );
    });
  }

  it('reads back every kind of expression as it was written', () => {
    const wanted: Table = {
      family: 'inet',
      name: 'test',
      sets: [],
      chains: [
        {
          name: 'raw',
          base: { type: 'filter', at: 'prerouting', priority: priorities.raw },
          rules: [
            [setOriginalZone(swapped(payload('link', 10, 2), 'machine'))],
            [
              setCtMark(
                bits(
                  swapped(payload('link', 8, 4), 'machine'),
                  native32(0xffffff),
                  native32(0x54000000),
                ),
              ),
            ],
          ],
        },
        {
          name: 'forward',
          base: { type: 'filter', at: 'forward', priority: priorities.mangle },
          rules: [[isProtocol('tcp'), lowerSegment(swapped(routeSegment, 'network'))]],
        },
        {
          name: 'after',
          base: { type: 'nat', at: 'postrouting', priority: priorities.sourceNat },
          rules: [
            [isFamily.ip, translate('snat', 'ip', packet.ipv4Source)],
            [
              isFamily.ip6,
              translate(
                'snat',
                'ip6',
                concat(constant(addressBytes('fd00::1')), constant(be16(9))),
                true,
              ),
            ],
            [masquerade],
          ],
        },
      ],
    };
    netfilter.commit(place.path, addTable(wanted));
    assert.equal(
      netfilter.inside(place.path, (socket) => difference(socket, wanted, new Map())),
      undefined,
    );
  });

  it('writes into frames as they leave an interface', () => {
    const wanted: Table = {
      family: 'netdev',
      name: 'test',
      sets: [],
      chains: [
        {
          name: 'egress',
          base: { type: 'filter', at: 'egress', priority: 0, device: 'lo' },
          rules: [[setLinkBytes(3, 3, swapped(meta.mark, 'network'))]],
        },
      ],
    };
    netfilter.commit(place.path, addTable(wanted));
    assert.equal(
      netfilter.inside(place.path, (socket) => difference(socket, wanted, new Map())),
      undefined,
    );
  });
});
