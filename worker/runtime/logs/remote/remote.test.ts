import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock, VirtualClock } from '../../../../lib/clock.ts';
import { silentLogger } from '../../../../lib/log.ts';
import { syslogAddress, syslogFacility } from '../../../../types/index.ts';
import { remoteLogConfig, type JournaldConfig, type SyslogConfig } from './config.ts';
import { journalEntry, syslogMessage, type RemoteLine } from './format.ts';
import { LogShipper } from './shipper.ts';
import { openWire, type Wire } from './wires.ts';

const container = {
  id: 'c'.repeat(64),
  name: 'web.1.x',
  argv: ['serve', '-v'],
  imageId: `sha256:${'a'.repeat(64)}`,
  imageName: 'web:1',
  env: ['COLOUR=blue', 'OTHER=no'],
  labels: { 'com.example.tier': 'front', other: 'x' },
};
const syslog = (options: Record<string, string> = {}) =>
  remoteLogConfig('syslog', options, container) as SyslogConfig;
const line = (text: string, more: Partial<RemoteLine> = {}): RemoteLine => ({
  stream: 'stdout',
  text,
  isPartial: false,
  timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 60),
  ...more,
});
const sender = { hostname: 'h1', pid: 7 };

describe('lines for servers of logs', () => {
  const id = 'c'.repeat(12);
  const formats: [Record<string, string>, Partial<RemoteLine>, string][] = [
    [{}, {}, `<30>Jan  2 03:04:05 ${id}[7]: hi\n`],
    [{}, { stream: 'stderr' }, `<27>Jan  2 03:04:05 ${id}[7]: hi\n`],
    [{ 'syslog-facility': 'local7' }, {}, `<190>Jan  2 03:04:05 ${id}[7]: hi\n`],
    [
      { 'syslog-format': 'rfc3164', tag: '{{.Name}}' },
      {},
      '<30>Jan  2 03:04:05 h1 web.1.x[7]: hi\n',
    ],
    [{ 'syslog-format': 'rfc5424', tag: 't' }, {}, '<30>1 2026-01-02T03:04:05Z h1 t 7 t - hi\n'],
    [
      { 'syslog-format': 'rfc5424micro', tag: 't' },
      {},
      '<30>1 2026-01-02T03:04:05.060000Z h1 t 7 t - hi\n',
    ],
    [
      { 'syslog-format': 'rfc5424', tag: 't', 'syslog-address': 'tcp+tls://x:1' },
      {},
      '41 <30>1 2026-01-02T03:04:05Z h1 t 7 t - hi\n',
    ],
  ];
  for (const [options, more, expect] of formats) {
    it(JSON.stringify([options, more]), () => {
      const message = syslogMessage(syslog(options), line('hi', more), sender);
      assert.equal(message.toString(), expect);
    });
  }

  it('have tags of all that Docker’s know', () => {
    const tag =
      '{{.DaemonName}} {{.FullID}} {{.ImageID}} {{.ImageFullID}} {{.Command}} {{upper .Name}}';
    assert.equal(
      syslog({ tag }).tag,
      `docker ${container.id} ${'a'.repeat(12)} ${container.imageId} serve -v WEB.1.X`,
    );
  });

  it('have tags that name what labels and variables say', () => {
    const options = { labels: 'other', env: 'COLOUR', 'labels-regex': '^com\\.' };
    const tag = '{{.Name}}/{{(.ExtraAttributes nil).COLOUR}}/{{(.ExtraAttributes nil).other}}';
    assert.equal(syslog({ ...options, tag }).tag, 'web.1.x/blue/x');
    assert.equal(
      syslog({ ...options, tag: '{{.ExtraAttributes nil}}' }).tag,
      'map[COLOUR:blue com.example.tier:front other:x]',
    );
  });

  it('are fields for a journal, what has line ends by its length', () => {
    const options = { labels: 'other', 'labels-regex': '^com\\.', env: 'COLOUR', tag: 't' };
    const config = remoteLogConfig('journald', options, container) as JournaldConfig;
    const bytes = journalEntry(config, line('a\nb', { stream: 'stderr', isPartial: true }));
    const head = Buffer.from('MESSAGE\n\u0003\0\0\0\0\0\0\0a\nb\nPRIORITY=3\n');
    assert.deepEqual(bytes.subarray(0, head.length), head);
    const rest = bytes.subarray(head.length).toString().split('\n');
    assert.deepEqual(rest, [
      `CONTAINER_ID=${id}`,
      `CONTAINER_ID_FULL=${container.id}`,
      'CONTAINER_NAME=web.1.x',
      'CONTAINER_TAG=t',
      'IMAGE_NAME=web:1',
      'SYSLOG_IDENTIFIER=t',
      'COM_EXAMPLE_TIER=front',
      'OTHER=x',
      'COLOUR=blue',
      'CONTAINER_PARTIAL_MESSAGE=true',
      '',
    ]);
  });

  it('go to addresses and facilities as Docker writes them', () => {
    assert.deepEqual(syslogAddress('udp://h'), { kind: 'udp', host: 'h', port: 514 });
    assert.deepEqual(syslogAddress('unix:///a/b'), { kind: 'unix', path: '/a/b' });
    for (const bad of ['h:1', 'udp://', 'udp://h:0', 'udp://h:70000', 'unix://a', 'tcp://h/x']) {
      assert.equal(syslogAddress(bad), undefined, bad);
    }
    assert.deepEqual(['', 'kern', 'local0', '23', '24', 'x'].map(syslogFacility), [
      3,
      0,
      16,
      23,
      undefined,
      undefined,
    ]);
  });
});

/** What has left by it, and what it does with the next line. */
class FakeWire implements Wire {
  readonly sent: string[] = [];
  fails = false;
  stuck: PromiseWithResolvers<void> | undefined;

  async send(bytes: Uint8Array): Promise<void> {
    if (this.fails) throw new Error('gone');
    await this.stuck?.promise;
    this.sent.push(/: (.*)\n/.exec(Buffer.from(bytes).toString())?.[1] ?? '');
  }

  close(): void {
    this.stuck?.reject(new Error('closed'));
  }
}

describe('the sending of logs', () => {
  const settle = async () => {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  };
  const make = (options: Record<string, string> = {}) => {
    const clock = new VirtualClock();
    const wire = new FakeWire();
    const warnings: unknown[][] = [];
    const log = { ...silentLogger, warn: (...said: unknown[]) => void warnings.push(said) };
    const shipper = new LogShipper(syslog(options), {
      clock,
      log,
      sender,
      open: () => (wire.fails ? Promise.reject(new Error('refused')) : Promise.resolve(wire)),
    });
    const ship = (...texts: string[]) => texts.forEach((text) => shipper.ship(line(text)));
    return { clock, wire, warnings, shipper, ship };
  };

  it('keeps the order, over a server that goes and comes', async () => {
    const { clock, wire, warnings, shipper, ship } = make();
    ship('1', '2');
    await settle();
    wire.fails = true;
    ship('3', '4');
    await settle();
    assert.deepEqual(wire.sent, ['1', '2']);
    wire.fails = false;
    clock.advance(100);
    await settle();
    assert.deepEqual(wire.sent, ['1', '2', '3', '4']);
    assert.deepEqual([shipper.lost, warnings.length], [0, 1]);
  });

  it('never grows beyond its bound, counts what is lost, and says so', async () => {
    const { clock, wire, warnings, shipper, ship } = make({
      mode: 'non-blocking',
      'max-buffer-size': '200',
    });
    wire.fails = true;
    ship(...Array.from({ length: 100 }, (_, at) => String(at)));
    await settle();
    const kept = 100 - shipper.lost;
    assert.ok(kept > 0 && kept < 10, `${kept} lines in 200 bytes`);
    wire.fails = false;
    clock.advance(100);
    await settle();
    assert.match(wire.sent.at(-1) ?? '', new RegExp(`^${shipper.lost} lines .* were lost`));
    assert.equal(wire.sent.length, kept + 1);
    assert.deepEqual(
      warnings.map(([said]) => said),
      [
        'the log server of a container cannot be reached',
        'lines of a container did not reach its log server',
      ],
    );
  });

  it('keeps its container waiting where that was asked for, and loses nothing', async () => {
    const { clock, wire, shipper, ship } = make({ mode: 'blocking' });
    wire.fails = true;
    ship('x'.repeat(600_000), 'y'.repeat(600_000));
    let isRoom = false;
    void shipper.room().then(() => (isRoom = true));
    await settle();
    assert.ok(!isRoom, 'the queue is full');
    wire.fails = false;
    clock.advance(100);
    await settle();
    assert.ok(isRoom);
    assert.deepEqual([wire.sent.length, shipper.lost], [2, 0]);
    wire.fails = true;
    ship('x'.repeat(600_000), 'y'.repeat(600_000));
    const room = shipper.room();
    shipper.hurry();
    await room;
    ship('z');
    assert.equal(shipper.lost, 1, 'its container has ended: nobody is kept waiting');
  });

  it('gives what is left some seconds, and no more', async () => {
    const { clock, wire, warnings, shipper, ship } = make();
    wire.stuck = Promise.withResolvers();
    ship('1', '2', '3');
    await settle();
    const closed = shipper.close();
    clock.advance(5_000);
    await closed;
    assert.equal(shipper.lost, 3);
    assert.deepEqual(warnings.at(-1)?.[1], { lines: 3, why: 'the container has ended' });
  });
});

describe('the ways to servers of logs', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-remote-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const open = (address: string, socket = '') =>
    openWire(syslog({ 'syslog-address': address }), realClock, socket);

  it('by UDP', async () => {
    const server = createSocket('udp4');
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    const wire = await open(`udp://127.0.0.1:${server.address().port}`);
    const heard = once(server, 'message');
    await wire.send(Buffer.from('hello'));
    assert.equal(String((await heard)[0]), 'hello');
    wire.close();
    server.close();
  });

  for (const kind of ['tcp', 'unix'] as const) {
    it(`by a stream: ${kind}`, async () => {
      const clients: Socket[] = [];
      const server = createServer((client) => clients.push(client));
      const path = join(folder, 'log');
      if (kind === 'unix') server.listen(path);
      else server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = kind === 'unix' ? { port: 0 } : (server.address() as AddressInfo);
      const connected = once(server, 'connection');
      const wire = await open(kind === 'unix' ? `unix://${path}` : `tcp://127.0.0.1:${port}`);
      await connected;
      const heard = once(clients[0]!, 'data');
      await wire.send(Buffer.from('hello'));
      assert.equal(String((await heard)[0]), 'hello');
      wire.close();
      await assert.rejects(wire.send(Buffer.from('more')));
      server.close();
      await assert.rejects(open(kind === 'unix' ? `unix://${path}` : `tcp://127.0.0.1:${port}`));
    });
  }

  it('by datagrams, to a journal as well', async () => {
    const path = join(folder, 'journal');
    // Node cannot listen for datagrams on a path.
    const script =
      'import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.bind(sys.argv[1])\n' +
      'print("ready",flush=True)\nfor n in range(2): print(s.recv(70000).decode(),flush=True)\n';
    const server = spawn('python3', ['-c', script, path]);
    let said = '';
    server.stdout.on('data', (data: Buffer) => (said += data.toString()));
    await once(server.stdout, 'data');
    assert.ok(existsSync(path));
    const ended = once(server, 'close');
    const plain = await open(`unix://${path}`);
    await plain.send(Buffer.from('by syslog'));
    const config = remoteLogConfig('journald', {}, container);
    const journal = await openWire(config, realClock, path);
    await journal.send(journalEntry(config as JournaldConfig, line('by journal')));
    await ended;
    assert.match(said, /^ready\nby syslog\nMESSAGE=by journal\nPRIORITY=6\nCONTAINER_ID=c+\n/);
    plain.close();
    journal.close();
    rmSync(path);
    await assert.rejects(open(`unixgram://${path}`), { message: `connect ${path}: ENOENT` });
  });
});
