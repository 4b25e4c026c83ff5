/** The images that tests, quickstart and benches run. The repository's name picks the recipe. */
import { readFileSync } from 'node:fs';
import type { ImageSpec } from './image.ts';
import { runSync } from './run.ts';

/**
 * Answers HTTP on $PORT (80) with a line that names the image's version, the container's hostname
 * and $GREETING; `/env` shows the environment. Ends at once on SIGTERM.
 */
function web(tag: string): ImageSpec {
  const script = `#!/bin/sh
trap 'kill $server; exit 0' TERM INT
mkdir -p /tmp/www
echo "web:$VERSION $(hostname) $GREETING" >/tmp/www/index.html
env >/tmp/www/env
httpd -f -p "\${PORT:-80}" -h /tmp/www &
server=$!
echo "web:$VERSION on $(hostname) listens on port \${PORT:-80}"
wait $server
`;
  return {
    files: { '/bin/serve': script },
    cmd: ['/bin/serve'],
    env: [`VERSION=${tag}`, 'GREETING=hello'],
    exposed: ['80/tcp'],
  };
}

/**
 * Answers every request with a line that names $VERSION and the container's hostname, thousands of
 * them a second, and is healthy as soon as it does. Ends at once on SIGTERM, whoever waits.
 */
function shop(): ImageSpec {
  const script = `
const { Server } = require('node:net');
const { createServer } = require('node:http');
const body = 'shop:' + process.env.VERSION + ' ' + require('node:os').hostname() + '\\n';
const server = createServer((request, response) => {
  response.writeHead(200, { 'content-length': body.length, connection: 'close' }).end(body);
});
server.listen({ port: 80, backlog: 4096 });
// Who is connected by now is answered, however long this has to wait for the processor; who comes
// later finds nobody. A client that is gone without a word is not waited for.
let quiet = 0;
server.on('connection', () => (quiet = 0));
const end = () => {
  if (++quiet < 8) return void setImmediate(end);
  Server.prototype.close.call(server, () => process.exit(0));
};
process.on('SIGTERM', () => {
  setTimeout(() => process.exit(0), 5000);
  end();
});
`;
  const second = 1e9;
  return {
    files: { ...nodeFiles(), '/srv/shop.cjs': script },
    cmd: ['/bin/node', '--max-old-space-size=32', '/srv/shop.cjs'],
    env: ['VERSION=1'],
    exposed: ['80/tcp'],
    // Often until it answers, and seldom from then on: each check is a process in a container, and
    // all of them together would take more of the machine than the requests do.
    healthcheck: {
      Test: ['CMD', 'wget', '-q', '-O', '/dev/null', 'http://127.0.0.1/'],
      StartPeriod: 60 * second,
      StartInterval: second / 2,
      Interval: 10 * second,
      Timeout: 5 * second,
      Retries: 3,
    },
  };
}

/**
 * Says who it is and who asks: on port 80 in a line to each connection, on port 53 in a datagram
 * for each, with the number that was in it, if any. On port 81 it answers with the hash of what it
 * gets and then all of it again, once the client has ended its side.
 */
function peer(): ImageSpec {
  const script = `
const net = require('node:net');
const { createHash } = require('node:crypto');
const name = require('node:os').hostname();
const plain = (address = '') => address.replace('::ffff:', '');
net
  .createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(name + ' ' + plain(socket.remoteAddress));
  })
  .listen({ port: 80, backlog: 4096 });
net
  .createServer({ allowHalfOpen: true }, (socket) => {
    const chunks = [];
    const hash = createHash('sha256');
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      hash.update(chunk);
    });
    socket.on('end', () => {
      socket.write(hash.digest('hex'));
      for (const chunk of chunks) socket.write(chunk);
      socket.end();
    });
  })
  .listen({ port: 81 });
const udp = require('node:dgram').createSocket('udp6');
udp.on('message', (message, from) => {
  const number = /^\\d+$/.test(message) ? ' ' + message : '';
  udp.send(name + ' ' + plain(from.address) + number, from.port, from.address);
});
udp.bind(53);
process.on('SIGTERM', () => process.exit(0));
`;
  return {
    files: { ...nodeFiles(), '/srv/peer.cjs': script },
    cmd: ['/bin/node', '/srv/peer.cjs'],
  };
}

/** This machine's Node.js and the libraries that it is linked with. */
function nodeFiles(): Readonly<Record<string, Uint8Array>> {
  const linked = runSync(['ldd', process.execPath]).matchAll(/(\/\S+) \(0x/g);
  const libraries = [...linked].map(([, path = '']) => [path, readFileSync(path)] as const);
  return { ...Object.fromEntries(libraries), '/bin/node': readFileSync(process.execPath) };
}

/** Says that it started, sleeps, and ends with code 0 at once on SIGTERM. */
function sleeper(tag: string): ImageSpec {
  const script = `#!/bin/sh
trap 'echo stopping; exit 0' TERM INT
echo "sleeper:$VERSION started on $(hostname)"
sleep 1000000 &
wait $!
`;
  return { files: { '/bin/run': script }, cmd: ['/bin/run'], env: [`VERSION=${tag}`] };
}

/** Ends with code $CODE (1) after $AFTER (0) seconds. */
function crasher(): ImageSpec {
  const script = `#!/bin/sh
echo "crashing after \${AFTER:-0} s with code \${CODE:-1}" >&2
sleep "\${AFTER:-0}"
exit "\${CODE:-1}"
`;
  return { files: { '/bin/crash': script }, cmd: ['/bin/crash'] };
}

/** Takes $MEGABYTES (256) of memory and keeps them. */
function memhog(): ImageSpec {
  const script = `#!/bin/sh
echo "taking \${MEGABYTES:-256} MB"
exec dd if=/dev/zero of=/dev/null bs="\${MEGABYTES:-256}M"
`;
  return { files: { '/bin/hog': script }, cmd: ['/bin/hog'] };
}

/** Prints $LINES (10) numbered lines, one each $EVERY (0) seconds, and then sleeps. */
function talker(): ImageSpec {
  const script = `#!/bin/sh
trap 'exit 0' TERM INT
n=0
while [ "$n" -lt "\${LINES:-10}" ]; do
  n=$((n + 1))
  echo "line $n of $(hostname)"
  [ "\${EVERY:-0}" = 0 ] || sleep "$EVERY"
done
sleep 1000000 &
wait $!
`;
  return { files: { '/bin/talk': script }, cmd: ['/bin/talk'] };
}

const recipes: Readonly<Record<string, (tag: string) => ImageSpec>> = {
  web,
  shop,
  peer,
  sleeper,
  crasher,
  memhog,
  talker,
  busybox: () => ({}),
};

export function recipeFor(reference: string): ImageSpec {
  const [name = '', tag = 'latest'] = reference.split(':');
  const recipe = recipes[name];
  if (recipe === undefined) {
    const known = Object.keys(recipes).join(', ');
    throw new Error(`no recipe for an image '${name}' (known: ${known}): give its spec`);
  }
  return recipe(tag);
}
