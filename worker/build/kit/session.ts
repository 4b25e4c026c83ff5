/** What the client of a build offers while it runs: files, logins, secrets, keys. */
import { Channel, type Call } from './channel.ts';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Duplex } from 'node:stream';
import {
  BytesMessageSchema,
  CredentialsRequestSchema,
  CredentialsResponseSchema,
  GetSecretRequestSchema,
  GetSecretResponseSchema,
} from '../../../gen/buildkit/session_pb.js';
import { SwarmError } from '../../../lib/errors.ts';
import type { RegistryAuth } from '../../image/images.ts';
import { receiveFiles } from './receive-files.ts';

/** Those of a client whose folder is asked for. */
export interface FolderRequest {
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
  output: '/moby.filesync.v1.FileSend/DiffCopy',
  agent: '/moby.sshforward.v1.SSH/ForwardAgent',
} as const;

/** More than fits on most disks; what comes is counted all the same. */
const limits = { maxEntries: 1_000_000, maxBytes: 256 * 1024 ** 3 };
export const maxSecretBytes = 500 * 1024;
/** As docker's CLI knows the credentials of Docker Hub. */
const hubHost = 'registry-1.docker.io';
const outputPieceBytes = 1024 * 1024;

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

  offers(what: keyof typeof methods): boolean {
    return this.#methods.has(methods[what].toLowerCase());
  }

  /** What the client logs in to a registry with, such as "docker.io"; absent where it knows none. */
  async credentials(
    domain: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<RegistryAuth | undefined> {
    if (!this.offers('credentials')) return undefined;
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
    if (!this.offers('secret')) return undefined;
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

  /** Sends the archive that the client has named a place for. */
  async sendArchive(
    bytes: AsyncIterable<Uint8Array>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    const call = this.#channel.open(methods.output, { signal });
    try {
      for await (const chunk of bytes) {
        for (let at = 0; at < chunk.length; at += outputPieceBytes) {
          const data = chunk.subarray(at, at + outputPieceBytes);
          await call.send(toBinary(BytesMessageSchema, create(BytesMessageSchema, { data })));
        }
      }
      call.end();
      await call.ended();
    } finally {
      call.cancel();
    }
  }

  /** A connection to the client's keys; `id` as in RUN --mount=type=ssh,id=…. */
  openAgent(id: string, { signal }: { readonly signal: AbortSignal }): Call {
    return this.#channel.open(methods.agent, { signal, metadata: { 'buildkit.ssh.id': id } });
  }

  /** For a folder that the client has named as the place of the output. */
  openOutput({ signal }: { readonly signal: AbortSignal }): Call {
    return this.#channel.open(methods.output, { signal });
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
