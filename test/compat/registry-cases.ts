/** Images behind a password: the CLI's credentials travel with the service to every node. */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { until } from '../lab/index.ts';
import { dockers } from './clients.ts';
import { shows } from './covered.ts';
import { guardedPort, type Field } from './field.ts';

const title = 'services are given credentials for their images with --with-registry-auth';
export const credentials = Buffer.from('someone:a secret').toString('base64');

export function registryCases(get: () => Field): void {
  shows(title, 'service create', '--with-registry-auth');
  shows(title, 'service update', '--with-registry-auth');
  describe('a registry with a password', () => {
    let server: Server | undefined;
    before(async () => {
      server = await guard(get().lab.registry.address);
    });
    after(() => {
      server?.closeAllConnections();
      server?.close();
    });
    afterEach(() => get().clear());
    for (const cli of dockers) {
      it(`${title}, by ${cli.name}`, async () => {
        const field = get();
        const host = field.lab.registry.address.split(':')[0] ?? '';
        const image = (name: string) => `${host}:${guardedPort}/${name}`;
        const folder = join(field.lab.folder, `credentials-${cli === dockers[0] ? 'old' : 'new'}`);
        mkdirSync(folder, { recursive: true });
        const config = { auths: { [`${host}:${guardedPort}`]: { auth: credentials } } };
        writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
        const docker = async (...args: string[]) => {
          const env = { DOCKER_CONFIG: folder };
          const { code, stderr } = await cli.result(field.manager, args, { env });
          assert.equal(code, 0, stderr);
        };
        const create = [
          'service',
          'create',
          '-d',
          '--restart-condition',
          'none',
          '--mode',
          'global',
        ];
        const tag = image(cli === dockers[0] ? 'web:1' : 'crasher:1');
        await docker(...create, '--name', 'without', tag);
        await until('it is refused', async () => {
          const tasks = await field.tasks('without');
          const isRefused = (err = '') => /unauthorized|no basic auth|401|denied/i.test(err);
          return (
            tasks.length === 3 &&
            tasks.every(({ Status }) => Status.State === 'rejected' && isRefused(Status.Err))
          );
        });
        await docker(...create, '--name', 'with', '--with-registry-auth', image('sleeper:1'));
        await field.runs('with', 3);
        await docker(
          'service',
          'update',
          '-d',
          '--with-registry-auth',
          '--image',
          image('talker:1'),
          'with',
        );
        await until('the update has ended', async () => {
          const { UpdateStatus: status } = await field.manager.api<Updated>(
            'GET',
            '/services/with',
          );
          return status?.State === 'completed' || status?.State === 'updating';
        });
        await field.runs('with', 3);
      });
    }
  });
}

interface Updated {
  readonly UpdateStatus?: { readonly State: string };
}

/** The lab's registry once more, for those who know the password. */
export async function guard(registry: string): Promise<Server> {
  const [host = '', port = ''] = registry.split(':');
  const server = createServer((asked, answer) => {
    if (asked.headers.authorization !== `Basic ${credentials}`) {
      answer.writeHead(401, { 'www-authenticate': 'Basic realm="compat"' });
      answer.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
      return;
    }
    const { authorization: _dropped, ...headers } = asked.headers;
    const { method = 'GET', url: path = '/' } = asked;
    const passed = request({ host, port, path, method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    passed.on('error', (error) => answer.destroy(error));
    asked.pipe(passed);
  });
  server.listen(guardedPort, host);
  await once(server, 'listening');
  assert.equal((server.address() as AddressInfo).port, guardedPort);
  return server;
}
