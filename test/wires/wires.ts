/**
 * Network namespaces joined by wires, for tests of the data plane in one process: servers and
 * clients are sockets of this process that live in the namespaces.
 */
import { execFile, execFileSync } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, Socket, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inNamespace, Namespaces } from '../../worker/network/namespace.ts';
import { Netlink } from '../../worker/network/netlink.ts';
import { internetSocket } from '../../worker/network/syscalls.ts';

const familyOf = (address: string) => (address.includes(':') ? 6 : 4);

export interface Place {
  readonly name: string;
  readonly path: string;
}

export class Wires implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ts-swarm-wires-'));
  readonly #namespaces = new Namespaces(join(this.#folder, 'netns'), setUp);
  readonly #sockets = new Set<Server | UdpSocket | Socket>();
  #wires = 0;

  constructor() {
    this.#namespaces.prepare();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) {
      if (socket instanceof Socket) socket.destroy();
      else socket.close();
    }
    this.#namespaces.clear();
    rmSync(this.#folder, { recursive: true });
  }

  add(name: string): Place {
    return { name, path: this.#namespaces.create(name) };
  }

  remove(place: Place): void {
    this.#namespaces.remove(place.name);
  }

  /** Runs a program inside and gives what it printed. */
  run(place: Place, ...command: string[]): string {
    return execFileSync('nsenter', [`--net=${place.path}`, ...command], {
      encoding: 'utf8',
      timeout: 60_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  async runAside(place: Place, ...command: string[]): Promise<string> {
    const options = { encoding: 'utf8', timeout: 60_000 } as const;
    const done = await promisify(execFile)('nsenter', [`--net=${place.path}`, ...command], options);
    return done.stdout;
  }

  /** Lines of `ip`, in one run. */
  ip(place: Place, ...lines: string[]): void {
    execFileSync('nsenter', [`--net=${place.path}`, 'ip', '-batch', '-'], {
      input: `${lines.join('\n')}\n`,
      timeout: 60_000,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
  }

  set(place: Place, name: string, value: string): void {
    inNamespace(place.path, () => writeFileSync(`/proc/sys/net/${name}`, value));
  }

  /** A veth pair: `a` and `b` name its ends. Both are up. */
  wire(a: Place, aName: string, b: Place, bName: string): void {
    const passing = `w${this.#wires++}`;
    this.ip(a, `link add ${aName} type veth peer name ${passing} netns ${b.path}`);
    this.ip(b, `link set ${passing} name ${bName}`, `link set ${bName} up`);
    this.ip(a, `link set ${aName} up`);
  }

  /** Answers each connection with `answer`, and ends it. */
  serve(
    place: Place,
    at: { address: string; port: number },
    answer: (socket: Socket) => void,
  ): Server {
    const fd = inNamespace(place.path, () => internetSocket('tcp', familyOf(at.address), at));
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      answer(socket);
    });
    server.listen({ fd, backlog: 1024 });
    this.#sockets.add(server);
    return server;
  }

  /** A connection, open. */
  connect(place: Place, host: string, port: number, timeoutMs = 60_000): Promise<Socket> {
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const fd = inNamespace(place.path, () => internetSocket('tcp', familyOf(host)));
    const socket = new Socket({ fd });
    this.#sockets.add(socket);
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer of ${host}:${port}`)));
    socket.once('close', () => this.#sockets.delete(socket));
    socket.once('error', reject);
    socket.connect({ host, port }, () => resolve(socket));
    return promise;
  }

  /** All that a server says until it ends the connection. */
  async ask(place: Place, host: string, port: number, timeoutMs = 60_000): Promise<string> {
    const socket = await this.connect(place, host, port, timeoutMs);
    let said = '';
    for await (const chunk of socket) said += String(chunk);
    return said;
  }

  /** A UDP socket; `at` absent: a client's. */
  udp(place: Place, family: 4 | 6, at?: { address: string; port: number }): UdpSocket {
    const fd = inNamespace(place.path, () => internetSocket('udp', family, at));
    const socket = createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      lookup: (address, _, done) => done(null, address, family),
    });
    socket.bind({ fd });
    this.#sockets.add(socket);
    return socket;
  }

  /** One datagram there, and the answer to it; `timeoutMs` is for where there is to be none. */
  askUdp(client: UdpSocket, host: string, port: number, timeoutMs = 60_000): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const timer = setTimeout(() => reject(new Error(`no answer of ${host}:${port}`)), timeoutMs);
    const onMessage = (message: Buffer) => resolve(message.toString());
    client.once('message', onMessage);
    client.once('error', reject);
    client.send('?', port, host, (error) => {
      if (error) reject(error);
    });
    return promise.finally(() => {
      clearTimeout(timer);
      client.off('message', onMessage);
      client.off('error', reject);
    });
  }
}

function setUp(): void {
  using inside = new Netlink();
  inside.setUp(inside.link('lo')?.index ?? 0);
}
