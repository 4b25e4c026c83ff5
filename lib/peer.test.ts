import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { peerName } from './peer.ts';

describe('lib/peer', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-peer-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function accepted(where: string | number, look: (socket: Socket) => void): Promise<void> {
    const server = createServer();
    if (typeof where === 'string') server.listen(where);
    else server.listen(where, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const arrived = once(server, 'connection');
    const client =
      typeof address === 'string' ? connect(address) : connect(address!.port, '127.0.0.1');
    const [socket] = (await arrived) as [Socket];
    try {
      look(socket);
    } finally {
      client.destroy();
      socket.destroy();
      server.close();
    }
  }

  it('names the user at the other end of a socket of this host', async () => {
    const { uid, username } = userInfo();
    const passwd = join(folder, 'passwd');
    writeFileSync(passwd, `nobody:x:65534:65534::/:/bin/false\n`);
    await accepted(join(folder, 'socket'), (socket) => {
      assert.equal(peerName(socket), username);
      assert.equal(peerName(socket, passwd), `uid ${uid}`);
      assert.equal(peerName(socket, join(folder, 'none')), `uid ${uid}`);
    });
  });

  it('knows nothing of who comes by a network without a certificate', async () => {
    await accepted(0, (socket) => assert.equal(peerName(socket), undefined));
  });
});
