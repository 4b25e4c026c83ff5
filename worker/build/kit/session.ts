/** What the client of a build offers while it runs: files, logins and secrets. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Duplex } from 'node:stream';
import {
  CredentialsRequestSchema,
  CredentialsResponseSchema,
  GetSecretRequestSchema,
  GetSecretResponseSchema,
} from '../../../gen/buildkit/session_pb.js';
import { SwarmError } from '../../../lib/errors.ts';
import type { RegistryAuth } from '../../image/images.ts';
import { Channel } from './channel.ts';
import { receiveFiles } from './receive-files.ts';

/** Those of a client whose folder is asked for. */
interface FolderRequest {
  /** "context" or "dockerfile". */
  readonly name: string;
  /** As in .dockerignore. */
  readonly excludes: readonly string[];
  /** These alone, and what they link to; none: all. */
  readonly paths: readonly string[];
}

const methods = {
  credentials: '/moby.filesync.v1.Auth/Credentials',
  secret: '/moby.buildkit.secrets.v1.Secrets/GetSecret',
  files: '/moby.filesync.v1.FileSync/DiffCopy',
} as const;

/** More than fits on most disks; what comes is counted all the same. */
const limits = { maxEntries: 1_000_000, maxBytes: 256 * 1024 ** 3 };
const maxSecretBytes = 500 * 1024;
/** As docker's CLI knows the credentials of Docker Hub. */
const hubHost = 'registry-1.docker.io';

export class BuildSession implements Disposable {
  readonly id: string;
  readonly #channel: Channel;
  readonly #methods: ReadonlySet<string>;

  constructor(id: string, socket: Duplex, offered: readonly string[]) {
    this.id = id;
    this.#channel = new Channel(socket);
    this.#methods = new Set(offered.map((method) => method.toLowerCase()));
  }

  get closed(): Promise<void> {
    return this.#channel.closed;
  }

  #offers(what: keyof typeof methods): boolean {
    return this.#methods.has(methods[what].toLowerCase());
  }

  /** What the client logs in to a registry with, such as "docker.io"; absent where it knows none. */
  async credentials(
    domain: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<RegistryAuth | undefined> {
    if (!this.#offers('credentials')) return undefined;
    const Host = domain === 'docker.io' ? hubHost : domain;
    const message = toBinary(CredentialsRequestSchema, create(CredentialsRequestSchema, { Host }));
    const answer = await this.#channel.ask(methods.credentials, message, { signal });
    const { Username, Secret } = fromBinary(CredentialsResponseSchema, answer);
    if (Secret === '') return undefined;
    return Username === '' ? { identityToken: Secret } : { username: Username, password: Secret };
  }

  /** Absent where the client has none of this id. */
  async secret(
    id: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    if (!this.#offers('secret')) return undefined;
    const message = toBinary(GetSecretRequestSchema, create(GetSecretRequestSchema, { ID: id }));
    let answer: Buffer;
    try {
      answer = await this.#channel.ask(methods.secret, message, { signal });
    } catch (thrown) {
      if (thrown instanceof SwarmError && thrown.code === 'not-found') return undefined;
      throw thrown;
    }
    const { data } = fromBinary(GetSecretResponseSchema, answer);
    if (data.length <= maxSecretBytes) return data;
    throw new SwarmError(
      'invalid-argument',
      `the secret ${id} is larger than ${maxSecretBytes} bytes`,
    );
  }

  /** Puts the client's files into an empty folder. */
  receive(
    request: FolderRequest,
    folder: string,
    options: {
      readonly signal: AbortSignal;
      readonly onProgress: (bytes: number) => void;
      readonly onLeftOut: (path: string) => void;
    },
  ): Promise<void> {
    const lists = { 'exclude-patterns': request.excludes, followpaths: request.paths };
    const metadata = {
      'dir-name': request.name,
      'override-excludes': 'true',
      ...encodedLists(lists),
    };
    const call = this.#channel.open(methods.files, { signal: options.signal, metadata });
    return receiveFiles(call, folder, { limits, ...options });
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }
}

/** Clients take the bytes of a header as they are. */
function encodedLists(
  lists: Readonly<Record<string, readonly string[]>>,
): Record<string, string | string[]> {
  const entries = Object.entries(lists).filter(([, values]) => values.length > 0);
  return Object.fromEntries(
    entries.map(([name, values]) => [
      name,
      values.map((value) => Buffer.from(value, 'utf8').toString('latin1')),
    ]),
  );
}
