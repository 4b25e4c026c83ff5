import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setUpContainerNamespace } from './container-interfaces.ts';
import { KernelNews } from './kernel-news.ts';
import { inNamespace, Namespaces } from './namespace.ts';
import { NetlinkSockets } from './netlink-sockets.ts';

describe('news of the kernel', () => {
  let folder: string;
  let namespaces: Namespaces;
  let home: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-news-'));
    namespaces = new Namespaces(join(folder, 'netns'), setUpContainerNamespace);
    namespaces.prepare();
    home = namespaces.create('home');
  });

  afterEach(() => {
    namespaces.clear();
    rmSync(folder, { recursive: true });
  });

  const ip = (path: string, command: string) =>
    execFileSync('nsenter', [`--net=${path}`, 'ip', ...command.split(' ')]);

  it('tell once of changes to links, addresses, routes and rules', () => {
    using news = inNamespace(home, () => KernelNews.ofLinksEverywhere());
    assert.equal(news.heard(), false);
    for (const command of [
      'link add d0 type bridge',
      'link set d0 up',
      'address add 10.9.0.1/24 dev d0',
      'route add 10.8.0.0/16 via 10.9.0.2',
      'rule add from 10.9.0.1 table 77',
      'route del 10.8.0.0/16',
      'link del d0',
    ]) {
      ip(home, command);
      assert.equal(news.heard(), true, command);
      assert.equal(news.heard(), false, `after ${command}`);
    }
    ip(home, 'link show');
    assert.equal(news.heard(), false, 'a look changes nothing');
  });

  it('tell of forwarding entries', () => {
    ip(home, 'link add v type vxlan id 7 dstport 4789');
    using news = inNamespace(home, () => KernelNews.ofNeighbours());
    const entry = 'bridge fdb append 02:00:00:00:00:01 dev v dst 10.9.0.7'.split(' ');
    execFileSync('nsenter', [`--net=${home}`, ...entry]);
    assert.equal(news.heard(), true);
    assert.equal(news.heard(), false);
  });

  it('tell of more than the kernel keeps', () => {
    using news = inNamespace(home, () => KernelNews.ofAddresses());
    ip(home, 'link add d0 type bridge');
    const batch = Array.from({ length: 2_000 }, (_, n) => `link set d0 mtu ${1300 + (n % 100)}\n`);
    execFileSync('nsenter', [`--net=${home}`, 'ip', '-batch', '-'], { input: batch.join('') });
    assert.equal(news.heard(), true);
    assert.equal(news.heard(), false);
    ip(home, 'link del d0');
    assert.equal(news.heard(), true, 'they go on');
  });

  it('reach from every namespace that is asked for, and from no other', () => {
    const [asked, included, strange] = ['asked', 'included', 'strange'].map((name) =>
      namespaces.create(name),
    ) as [string, string, string];
    using sockets = new NetlinkSockets();
    assert.equal(sockets.wasTouched(), true, 'nobody listens yet');
    inNamespace(home, () => sockets.listen());
    assert.equal(sockets.wasTouched(), false);
    inNamespace(home, () => sockets.of(asked));
    const fd = openSync(included, 'r');
    sockets.include(fd);
    sockets.include(fd);
    closeSync(fd);
    for (const path of [home, asked, included]) {
      assert.equal(sockets.wasTouched(), false);
      ip(path, 'link add d0 type bridge');
      assert.equal(sockets.wasTouched(), true, path);
    }
    ip(strange, 'link add d0 type bridge');
    assert.equal(sockets.wasTouched(), false);
  });
});
