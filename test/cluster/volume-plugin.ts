/**
 * A volume plugin in Docker's protocol, as people write them: folders below DIRECTORY, on the socket
 * SOCKET. What it is asked is noted in DIRECTORY/calls. An option `fail` is its own error.
 */
import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';

interface Ask {
  readonly Name: string;
  readonly ID?: string;
  readonly Opts?: Readonly<Record<string, string>> | null;
}

const [, , socket = '', directory = ''] = process.argv;
const volumes = new Map<string, string>();
mkdirSync(dirname(socket), { recursive: true });
mkdirSync(directory, { recursive: true });

function answer(method: string, { Name, ID, Opts }: Ask): object {
  const path = join(directory, Name ?? '');
  const one = () => ({ Name, Mountpoint: path, Status: { opts: volumes.get(Name) ?? '' } });
  switch (method) {
    case 'Plugin.Activate':
      return { Implements: ['VolumeDriver'] };
    case 'VolumeDriver.Capabilities':
      return { Capabilities: { Scope: 'global' } };
    case 'VolumeDriver.List':
      return {
        Volumes: [...volumes.keys()].map((name) => ({
          Name: name,
          Mountpoint: join(directory, name),
        })),
      };
    case 'VolumeDriver.Create':
      if (Opts?.['fail'] !== undefined) return { Err: `told to fail: ${Opts['fail']}` };
      mkdirSync(path, { recursive: true });
      volumes.set(Name, JSON.stringify(Opts));
      return {};
    case 'VolumeDriver.Get':
      return volumes.has(Name) ? { Volume: one() } : { Err: 'no such volume here' };
    case 'VolumeDriver.Mount':
    case 'VolumeDriver.Path':
      return { Mountpoint: path };
    case 'VolumeDriver.Unmount':
      return {};
    case 'VolumeDriver.Remove':
      rmSync(path, { recursive: true, force: true });
      volumes.delete(Name);
      return {};
    default:
      return { Err: `what is ${method} ${ID}?` };
  }
}

const server = createServer((request, response) => {
  void (async () => {
    const method = (request.url ?? '').slice(1);
    const ask = JSON.parse((await text(request)) || '{}') as Ask;
    const isLook = /Activate|Capabilities|List|Get/.test(method);
    if (!isLook) {
      const what = method.replace('VolumeDriver.', '');
      appendFileSync(join(directory, 'calls'), `${what} ${ask.Name} ${ask.ID ?? ''}`.trim() + '\n');
    }
    response.setHeader('content-type', 'application/vnd.docker.plugins.v1.1+json');
    response.end(JSON.stringify(answer(method, ask)));
  })();
});
rmSync(socket, { force: true });
server.listen(socket, () => {
  appendFileSync(join(directory, 'calls'), '');
});
process.on('SIGTERM', () => process.exit(0));
