import { strict as assert } from 'node:assert';
import { createServer, type AddressInfo } from 'node:net';
import { realClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { NetworkTables } from '../network/tables.ts';
import { Doctor, type DoctorParts } from './doctor.ts';
import {
  examineKernel,
  explainedByKernel,
  judgeSctp,
  sctpFacts,
  type SctpFacts,
} from './kernel.ts';
import { examinePorts, parseSockets } from './ports.ts';
import { judgeConnections, judgeRepairs, judgeSwarm, type SwarmFacts } from './swarm.ts';

describe('the examination of the kernel', function () {
  before(function () {
    if (process.getuid?.() !== 0) this.skip();
  });

  it('finds all that networks need', () => {
    assert.deepEqual(
      examineKernel().map(({ level }) => level),
      ['ok'],
    );
  });

  const feature = {
    name: 'warp drives',
    need: 'packets travel no faster than light',
    option: 'CONFIG_WARP',
    try: () => {
      throw new Error('EOPNOTSUPP');
    },
  };

  it('says what is missing, and what that means', () => {
    const [found] = examineKernel([feature]);
    assert.equal(found?.level, 'error');
    assert.match(found?.text ?? '', /warp drives \(EOPNOTSUPP\).*faster than light.*CONFIG_WARP/);
  });

  it('explains why networks could not be started, where it can', () => {
    const cause = new Error('socket: EPROTONOSUPPORT');
    assert.equal(explainedByKernel(cause), cause);
    assert.match(
      String(explainedByKernel(cause, [feature])),
      /kernel does not offer warp drives \(socket: EPROTONOSUPPORT\).*CONFIG_WARP/,
    );
  });
});

describe('the examination of SCTP', () => {
  const published = [{ protocol: 'tcp' }, { protocol: 'sctp' }];
  const cases: { name: string; facts: SctpFacts; free: string; wanted: string; says: RegExp }[] = [
    {
      name: 'all there',
      facts: { isTracked: true, hasSockets: true },
      free: 'ok',
      wanted: 'ok',
      says: /has sockets/,
    },
    {
      name: 'no sockets',
      facts: { isTracked: true, hasSockets: false },
      free: 'ok',
      wanted: 'warning',
      says: /CONFIG_IP_SCTP/,
    },
    {
      name: 'not tracked',
      facts: { isTracked: false, hasSockets: true },
      free: 'ok',
      wanted: 'error',
      says: /CONFIG_NF_CT_PROTO_SCTP/,
    },
  ];
  for (const { name, facts, free, wanted, says } of cases) {
    it(`judges a kernel: ${name}`, () => {
      assert.equal(judgeSctp(facts, []).level, free);
      assert.equal(judgeSctp(facts, published).level, wanted);
      assert.match(judgeSctp(facts, []).text, says);
    });
  }

  it('asks the kernel', function () {
    if (process.getuid?.() !== 0) this.skip();
    assert.equal(sctpFacts().isTracked, true);
  });
});

describe('the examination of ports', () => {
  it('reads the kernel’s list', () => {
    const text = [
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
      '   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1',
      '   1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4712 1',
      '',
    ].join('\n');
    assert.deepEqual(parseSockets(text, 'tcp', '0A'), [
      { protocol: 'tcp', port: 8080, inode: '4711' },
    ]);
  });

  it('names the program that has a published port', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const published = [{ protocol: 'tcp', port, owner: 'service web' }];
    try {
      const [taken] = await examinePorts(published, -1);
      assert.equal(taken?.level, 'error');
      assert.match(taken?.text ?? '', new RegExp(`pid ${process.pid}.*${port}/tcp.*service web`));
      const [ours] = await examinePorts(published, process.pid);
      assert.equal(ours?.level, 'ok', 'what the daemon itself holds is meant');
    } finally {
      server.close();
    }
    const [free] = await examinePorts(published, -1);
    assert.equal(free?.level, 'ok');
  });
});

describe('what is said of a node in its swarm', () => {
  const facts: SwarmFacts = { state: 'active', error: '', nodeId: 'n1', manager: '10.1.1.1:2377' };
  const cases: { name: string; facts: SwarmFacts; expect: RegExp[] }[] = [
    { name: 'in none', facts: { ...facts, state: 'inactive' }, expect: [/^ok.*no swarm/] },
    { name: 'locked', facts: { ...facts, state: 'locked' }, expect: [/^error.*unlock/] },
    {
      name: 'failed',
      facts: { ...facts, state: 'error', error: 'the disk is full' },
      expect: [/^error.*: the disk is full/],
    },
    {
      name: 'alone',
      facts: { state: 'active', nodeId: 'n1', error: 'nobody answers' },
      expect: [/^warning.*no session.*nobody answers/],
    },
    { name: 'well', facts, expect: [/^ok.*10\.1\.1\.1:2377/] },
    {
      name: 'with a clock that may be right',
      facts: { ...facts, clock: { aheadMs: 1_400, roundTripMs: 900 } },
      expect: [/^ok/, /^ok.*agrees/],
    },
    {
      name: 'with a clock that is ahead',
      facts: { ...facts, clock: { aheadMs: 4_000, roundTripMs: 2 } },
      expect: [/^ok/, /^warning.*4\.0 s ahead of/],
    },
    {
      name: 'with a clock that is far behind',
      facts: { ...facts, clock: { aheadMs: -60_000, roundTripMs: 2 } },
      expect: [/^ok/, /^error.*60\.0 s behind/],
    },
  ];
  for (const { name, facts: given, expect } of cases) {
    it(name, () => {
      const said = judgeSwarm(given).map(({ level, text }) => `${level} ${text}`);
      assert.equal(said.length, expect.length);
      for (const [index, pattern] of expect.entries()) assert.match(said[index] ?? '', pattern);
    });
  }
});

describe('limits and repairs', () => {
  it('warn in time', () => {
    const levels = [10, 85, 97].map((count) => judgeConnections(count, 100)[0]?.level);
    assert.deepEqual(levels, ['ok', 'warning', 'error']);
    assert.deepEqual(judgeConnections(0, 0), []);
  });

  it('are counted by kind', () => {
    const [found] = judgeRepairs(new Map(Object.entries({ fdb: 3, nft: 1 })));
    assert.match(found?.text ?? '', /4 things.*3 fdb, 1 nft/);
    assert.equal(judgeRepairs(new Map())[0]?.level, 'ok');
  });
});

describe('the doctor', function () {
  before(function () {
    if (process.getuid?.() !== 0) this.skip();
  });

  const parts: DoctorParts = {
    runRoot: '/run/none',
    tables: new NetworkTables(),
    containers: () => [],
    hostPorts: () => [],
    bridges: () => ({ ip: [], ip6: [] }),
    obstacles: () => [],
    repairs: () => new Map(),
    swarm: () => ({ state: 'inactive', error: '', nodeId: '' }),
    nameOf: (id) => id,
    clock: realClock,
    log: silentLogger,
  };

  it('says of each thing that it is well', async () => {
    const findings = await new Doctor(parts).examine();
    const well = findings.filter(({ level }) => level === 'ok').map(({ check }) => check);
    assert.ok(['swarm', 'kernel', 'repairs'].every((check) => well.includes(check)));
  });

  it('names the networks that cannot be had', async () => {
    const obstacles = () => ['network back cannot be had on this node: it is too narrow'];
    const [first] = await new Doctor({ ...parts, obstacles }).examine();
    assert.deepEqual([first?.check, first?.text], ['networks', obstacles()[0]]);
  });

  it('goes on where one thing cannot be examined, and says that first', async () => {
    const broken = () => {
      throw new Error('no facts');
    };
    const [first, ...others] = await new Doctor({ ...parts, repairs: broken }).examine();
    assert.deepEqual(first, {
      check: 'repairs',
      level: 'error',
      text: 'this could not be examined: no facts',
    });
    assert.ok(others.length >= 2);
  });
});
