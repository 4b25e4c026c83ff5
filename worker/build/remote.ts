/** Contexts that this node fetches itself: a tar or a Dockerfile by HTTP, or a Git repository. */
import { spawn } from 'node:child_process';
import { access, mkdir, realpath, writeFile } from 'node:fs/promises';
import { join, normalize, sep } from 'node:path';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import { maxDockerfileBytes, unpackTar } from './context.ts';

type Remote =
  | { readonly kind: 'http'; readonly url: string }
  | {
      readonly kind: 'git';
      readonly url: string;
      /** A branch, a tag or a commit. */
      readonly ref: string;
      readonly folder: string;
    };

export interface Fetched {
  /** Where the context is. */
  readonly context: string;
  /** Where the address was that of a Dockerfile: its name. */
  readonly dockerfile?: string;
}

const gitTimeoutMs = 10 * 60_000;
const maxComplaintBytes = 4096;
const tarMagicAt = 257;

/** Reads an address as Docker does. Throws `invalid-argument` for what is none. Pure. */
export function parseRemote(text: string): Remote {
  const [address = '', fragment = ''] = text.split('#', 2);
  const isGit =
    /^(?:git:\/\/|ssh:\/\/|github\.com\/|git@)/.test(address) ||
    /^https?:\/\/.*\.git$/.test(address);
  if (isGit) {
    const [ref = '', folder = ''] = fragment.split(':', 2);
    if (ref.startsWith('-')) throw invalid(`a Git reference cannot be ${JSON.stringify(ref)}`);
    const url = address.startsWith('github.com/') ? `https://${address}` : address;
    return { kind: 'git', url, ref: ref === '' ? 'HEAD' : ref, folder };
  }
  if (/^https?:\/\//.test(text)) return { kind: 'http', url: text };
  throw invalid(`remoteURL (${text}) could not be recognized as URL`);
}

/** Into a folder that is there and empty. Throws `invalid-argument` for what cannot be had. */
export async function fetchRemote(
  remote: Remote,
  folder: string,
  signal: AbortSignal,
): Promise<Fetched> {
  return remote.kind === 'git' ? clone(remote, folder, signal) : download(remote, folder, signal);
}

async function download(
  { url }: Extract<Remote, { kind: 'http' }>,
  folder: string,
  signal: AbortSignal,
): Promise<Fetched> {
  const response = await fetch(url, { signal, redirect: 'follow' }).catch((cause: unknown) => {
    signal.throwIfAborted();
    const why = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
    throw invalid(`failed to download the build context ${url}: ${messageOf(why)}`, cause);
  });
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw invalid(
      `failed to download the build context ${url}: the server answered ${response.status}`,
    );
  }
  const body: AsyncIterable<Uint8Array> = response.body;
  const { head, bytes } = await peek(body);
  if (isArchive(head)) {
    await unpackTar(bytes, folder, signal);
    return { context: folder };
  }
  const dockerfile = 'Dockerfile';
  await writeFile(join(folder, dockerfile), await text(bytes, url));
  return { context: folder, dockerfile };
}

/** The beginning of a stream, long enough to tell a tar, and all of it. */
async function peek(source: AsyncIterable<Uint8Array>) {
  const iterator = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let length = 0;
  while (length < tarMagicAt + 5) {
    const next = await iterator.next();
    if (next.done === true) break;
    first.push(next.value);
    length += next.value.length;
  }
  async function* bytes() {
    yield* first;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      yield next.value;
    }
  }
  return { head: Buffer.concat(first), bytes: bytes() };
}

function isArchive(head: Buffer): boolean {
  const magic = head.subarray(0, 4).toString('hex');
  const isCompressed = /^1f8b|^28b52ffd|^425a68|^fd377a58/.test(magic);
  return isCompressed || head.toString('latin1', tarMagicAt, tarMagicAt + 5) === 'ustar';
}

async function text(bytes: AsyncIterable<Uint8Array>, url: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    length += chunk.length;
    if (length > maxDockerfileBytes) throw invalid(`${url} is neither a tar nor a Dockerfile`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function clone(
  { url, ref, folder }: Extract<Remote, { kind: 'git' }>,
  into: string,
  signal: AbortSignal,
): Promise<Fetched> {
  const root = join(into, 'repository');
  await mkdir(root);
  const git = (...args: readonly string[]) => runGit(args, { folder: root, home: into, signal });
  const must = async (...args: readonly string[]) => {
    const complaint = await git(...args);
    if (complaint === undefined) return;
    throw invalid(`unable to fetch the build context ${url}#${ref}: ${complaint}`);
  };
  await must('init', '--quiet');
  await must('remote', 'add', '--', 'origin', url);
  // Not every server gives a part of the history, or a commit by its name.
  const shallow = await git('fetch', '--quiet', '--depth=1', 'origin', ref);
  const whole = shallow === undefined ? undefined : await git('fetch', '--quiet', 'origin', ref);
  if (whole === undefined) await must('checkout', '--quiet', '--detach', 'FETCH_HEAD');
  else {
    await must('fetch', '--quiet', '--tags', 'origin', '+refs/heads/*:refs/remotes/origin/*');
    await must('checkout', '--quiet', '--detach', ref);
  }
  await must('submodule', '--quiet', 'update', '--init', '--recursive', '--depth=1');
  const context = join(root, normalize(`/${folder}`));
  const real = await realpath(context).catch(() => undefined);
  if (real === undefined || !`${real}${sep}`.startsWith(`${await realpath(root)}${sep}`)) {
    throw invalid(`the repository ${url} has no folder ${JSON.stringify(folder)}`);
  }
  return { context: real };
}

/** Undefined where it went well; else what git said. */
async function runGit(
  args: readonly string[],
  { folder, home, signal }: { folder: string; home: string; signal: AbortSignal },
): Promise<string | undefined> {
  await access(folder);
  const child = spawn('git', ['-c', 'core.hooksPath=/dev/null', ...args], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: gitTimeoutMs,
    killSignal: 'SIGKILL',
    signal,
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: home,
      LC_ALL: 'C',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_ALLOW_PROTOCOL: 'http:https:git:ssh',
      GIT_SSH_COMMAND: 'ssh -o BatchMode=yes',
    },
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    complaint += chunk.slice(0, Math.max(0, maxComplaintBytes - complaint.length));
  });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', resolve);
  try {
    const code = await promise;
    if (code === 0) return undefined;
    return complaint.trim().split('\n').at(-1) || `git ended with status ${code}`;
  } catch (thrown) {
    signal.throwIfAborted();
    if (errnoOf(thrown) !== 'ENOENT') throw thrown;
    throw new SwarmError(
      'unimplemented',
      'Git repositories are fetched by the program git, which this node lacks: install the ' +
        'Debian package git, or send the context itself',
      { cause: thrown },
    );
  }
}

function invalid(message: string, cause?: unknown): SwarmError {
  return new SwarmError('invalid-argument', message, { cause });
}
