/** `ts-swarm doctor`: what it says of a swarm that is well, and of what goes wrong between hosts. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { until, type Host } from '../lab/index.ts';
import { imageOf, useSwarm } from './swarm.ts';

interface Report {
  readonly Nodes: readonly {
    readonly Hostname: string;
    readonly Findings: readonly {
      readonly Check: string;
      readonly Level: string;
      readonly Text: string;
    }[];
    readonly Error?: string;
  }[];
}

const blocked = 'inet doctor_test';
const beside = (name: string) => join(import.meta.dirname, name);

describe('the doctor of a swarm', () => {
  const get = useSwarm({ hosts: 3, managers: 2, images: ['web:1'] });

  const ask = async (host: Host, ...flags: string[]): Promise<Report> => {
    const { stdout } = await host.cliResult('doctor', '--format', 'json', ...flags);
    return JSON.parse(stdout) as Report;
  };
  /** What is not well, as "h1 data-path: …". */
  const complaints = ({ Nodes }: Report) =>
    Nodes.flatMap(({ Hostname, Findings, Error: reason }) => [
      ...(reason === undefined ? [] : [`${Hostname}: ${reason}`]),
      ...Findings.filter(({ Level, Check }) => Level !== 'ok' && Check !== 'repairs').map(
        ({ Check, Text }) => `${Hostname} ${Check}: ${Text}`,
      ),
    ]);
  /** A probe that a busy machine took too long for is no complaint of the next look. */
  const untilComplaints = (...expected: readonly RegExp[]) =>
    until(`it is said: ${expected.join()}`, async () => complaints(await ask(get().manager)), {
      accept: (found) =>
        found.length === expected.length &&
        expected.every((pattern, index) => pattern.test(found[index] ?? '')),
    });
  /** Links and addresses of a new swarm take a moment. */
  const untilWell = () => untilComplaints();

  /** Starts the daemon of h3 anew by such a command, and waits for a complaint. */
  const complainsWhen = async (through: readonly string[], expected: RegExp) => {
    const h3 = get().host('h3');
    await h3.stopDaemon();
    await h3.startDaemon({ through });
    try {
      await until(`${expected} is said`, async () => complaints(await ask(get().manager)), {
        accept: (found) => found.some((text) => expected.test(text)),
        timeoutMs: 60_000,
      });
    } finally {
      await h3.stopDaemon();
      await h3.startDaemon();
    }
  };

  before(async () => {
    // To an address that nobody has: nothing leaves the lab.
    const gateway = get().manager.address.replace(/\d+$/, '253');
    for (const host of get().hosts) await host.exec(`ip route add default via ${gateway}`);
  });

  it('asks every node on any manager, and only its own on a worker', async () => {
    await untilWell();
    const names = ({ Nodes }: Report) => Nodes.map(({ Hostname }) => Hostname).join();
    assert.equal(names(await ask(get().host('h1'))), 'h1,h2,h3');
    assert.equal(names(await ask(get().host('h2'))), 'h1,h2,h3');
    assert.equal(names(await ask(get().host('h3'))), 'h3');
    assert.equal(names(await ask(get().host('h1'), '--local')), 'h1');
    const { stdout } = await until('all is well', () => get().manager.cliResult('doctor'), {
      accept: ({ code }) => code === 0,
    });
    assert.match(stdout, /data-path +packets of up to 1450 bytes get to all 2 other nodes/);
  });

  it('names the nodes between which UDP is blocked', async () => {
    await untilWell();
    const [h3, h1] = [get().host('h3'), get().host('h1')];
    await h3.exec(
      `nft 'add table ${blocked}; add chain ${blocked} in { type filter hook input priority 0; }; ` +
        `add rule ${blocked} in ip saddr ${h1.address} udp dport 4789 drop'`,
    );
    try {
      await untilComplaints(
        /^h1 data-path: node h3 .* answers, but VXLAN.*open UDP port 4789/,
        /^h3 data-path: node h1 .* answers, but VXLAN.*open UDP port 4789/,
      );
      assert.equal((await h1.cliResult('doctor')).code, 1);
    } finally {
      await h3.exec(`nft delete table ${blocked}`);
    }
  });

  it('finds a link that carries less than the nodes believe', async () => {
    await untilWell();
    const h3 = get().host('h3');
    await h3.exec(
      `nft 'add table ${blocked}; add chain ${blocked} in { type filter hook input priority 0; }; ` +
        `add rule ${blocked} in udp dport 4789 meta length > 1300 drop'`,
    );
    try {
      const tooLarge = /packets of 1450 bytes do not get to.*MTU/;
      await untilComplaints(tooLarge, tooLarge, tooLarge, tooLarge);
    } finally {
      await h3.exec(`nft delete table ${blocked}`);
    }
  });

  it('finds rules of others that drop what containers send and get', async () => {
    await untilWell();
    const h3 = get().host('h3');
    const table = 'ip doctor_forward';
    const hook = '{ type filter hook forward priority 0; policy drop; }';
    await h3.exec(`nft 'add table ${table}; add chain ${table} FORWARD ${hook}'`);
    try {
      await untilComplaints(/^h3 forwarding: .* FORWARD of the table ip doctor_forward drops/);
      const links = '{ ts-swarm0, ts-swarm-mesh }';
      const accept = (key: string) => `insert rule ${table} FORWARD ${key} ${links} accept`;
      await h3.exec(`nft '${accept('iifname')}; ${accept('oifname')}'`);
      await untilWell();
    } finally {
      await h3.exec(`nft delete table ${table}`);
    }
  });

  it('finds firewalls that end in a rule against all that they do not know', async () => {
    await untilWell();
    const h2 = get().host('h2');
    const rules = [
      'ct state established,related accept',
      'udp dport 4789 accept',
      'counter reject',
    ];
    await h2.exec(
      `nft 'add table ${blocked}; add chain ${blocked} in { type filter hook input priority 0; }; ` +
        `${rules.map((rule) => `add rule ${blocked} in ${rule}`).join('; ')}'`,
    );
    try {
      await untilComplaints(/^h2 firewall: the chain in .* does not know TCP port 2377, so that/);
    } finally {
      await h2.exec(`nft delete table ${blocked}`);
    }
  });

  it('notes that a host has no way out, and does not complain of it', async () => {
    await untilWell();
    const h3 = get().host('h3');
    const route = (await h3.exec('ip route show default')).trim();
    await h3.exec('ip route del default');
    try {
      const said = async () => {
        const report = await ask(get().manager);
        const node = report.Nodes.find(({ Hostname }) => Hostname === 'h3');
        return node?.Findings.find(({ Check }) => Check === 'egress');
      };
      const found = await until('the missing route is said', said, {
        accept: (finding) => finding?.Text.startsWith('this host has no default route: ') === true,
        timeoutMs: 60_000,
      });
      assert.equal(found?.Level, 'ok');
    } finally {
      await h3.exec(`ip route replace ${route}`);
    }
  });

  it('need not be asked where somebody turns forwarding off: the daemon turns it on', async () => {
    const h3 = get().host('h3');
    const settings = ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'];
    await h3.exec(`sysctl -qw ${settings.map((name) => `${name}=0`).join(' ')}`);
    await until('h3 forwards again', () => h3.exec(['sysctl', '-n', ...settings]), {
      accept: (text) => text.trim() === '1\n1',
      timeoutMs: 60_000,
    });
  });

  it('tells whose clock differs from the manager’s', () =>
    complainsWhen(
      ['env', `NODE_OPTIONS=--import=${beside('shifted-clock.ts')}`, 'TEST_AHEAD_MS=90000'],
      /^h3 clock: the clock is \d+\.\d s ahead of that of the manager at .*NTP/,
    ));

  it('need not be asked where the kernel lacks all of it: the daemon says so as it ends', async () => {
    const h3 = get().host('h3');
    await h3.stopDaemon();
    try {
      await assert.rejects(
        h3.startDaemon({ through: ['python3', beside('no-netfilter.py')] }),
        /kernel does not offer address translation, .*EPROTONOSUPPORT.*CONFIG_NFT_NAT/,
      );
    } finally {
      await h3.startDaemon();
    }
  });

  it('says of a node that is away that it could not be asked', async () => {
    await untilWell();
    const h3 = get().host('h3');
    await h3.stopDaemon();
    try {
      const saidOf3 = async () => {
        const { Nodes } = await ask(get().manager);
        return Nodes.find(({ Hostname }) => Hostname === 'h3')?.Error ?? '';
      };
      await until('its session has ended', saidOf3, { accept: (text) => /no session/.test(text) });
    } finally {
      await h3.startDaemon();
    }
  });

  it('names the program that has taken a published port', async () => {
    const swarm = get();
    const h3 = swarm.host('h3');
    const server = await h3.start('squatter', ['busybox', 'httpd', '-f', '-p', '8080']);
    try {
      const url = 'http://127.0.0.1:8080/';
      await until('it listens', async () => (await h3.execResult(['curl', '-s', url])).code === 0);
      await swarm.create('web', '--publish', '8080:80', imageOf(swarm, 'web:1'));
      const taken = /^h3 ports: busybox \(pid \d+\) listens on port 8080\/tcp.*service web/;
      await until('it is found', async () => complaints(await ask(swarm.manager)), {
        accept: (all) => all.some((text) => taken.test(text)),
      });
    } finally {
      await server.kill();
    }
  });
});
