/** Clients at a container's streams, also before it has started. */
import type { ContainerIo, OutputSink, StdinPipe, TerminalSize } from '../runtime/io.ts';

export interface AttachRequest {
  readonly stdin: boolean;
  /** Absent: no output is wanted. */
  readonly sink?: OutputSink;
}

export interface Attachment extends Disposable {
  readonly stdin?: StdinPipe;
  /** Resolves when the container has ended, or the attachment is disposed. */
  readonly ended: Promise<void>;
}

interface Client {
  readonly sink: OutputSink;
  attached: Disposable | undefined;
}

export class Streams {
  readonly #io: ContainerIo;
  readonly #id: string;
  readonly #clients = new Set<Client>();
  readonly #stdinOnce: boolean;
  #running = false;
  #launched = Promise.withResolvers<void>();
  #ended = Promise.withResolvers<void>();
  /** Asked for before it started. */
  size: TerminalSize | undefined;

  constructor(id: string, io: ContainerIo, options: { readonly stdinOnce: boolean }) {
    this.#id = id;
    this.#io = io;
    this.#stdinOnce = options.stdinOnce;
  }

  attach({ stdin, sink }: AttachRequest): Attachment {
    const over = Promise.withResolvers<void>();
    void this.#ended.promise.then(over.resolve);
    const client = sink === undefined ? undefined : this.#add(sink);
    const detach = () => {
      if (client !== undefined) {
        client.attached?.[Symbol.dispose]();
        this.#clients.delete(client);
      }
      over.resolve();
    };
    return {
      ended: over.promise,
      ...(stdin ? { stdin: this.#stdin() } : {}),
      [Symbol.dispose]: detach,
    };
  }

  /** The container is made, and held: nothing has been written yet. */
  connect(): void {
    for (const client of this.#clients) client.attached = this.#io.attach(this.#id, client.sink);
    this.#running = true;
    this.#launched.resolve();
  }

  /** The container has ended: it may start again, and attachments of then begin anew. */
  disconnect(): void {
    for (const { sink, attached } of this.#clients) if (attached === undefined) sink.end();
    this.#clients.clear();
    this.#running = false;
    this.#launched = Promise.withResolvers<void>();
    const { resolve } = this.#ended;
    this.#ended = Promise.withResolvers<void>();
    resolve();
  }

  #add(sink: OutputSink): Client {
    const attached = this.#running ? this.#io.attach(this.#id, sink) : undefined;
    const client = { sink, attached };
    this.#clients.add(client);
    return client;
  }

  /** What is written before the start waits for it, and the writer with it. */
  #stdin(): StdinPipe {
    const ended = this.#ended.promise;
    const launched = () => Promise.race([this.#launched.promise, ended]);
    return {
      write: async (data) => {
        await launched();
        if (this.#running) await Promise.race([this.#io.stdin(this.#id).write(data), ended]);
      },
      end: async () => {
        if (!this.#stdinOnce) return;
        await launched();
        if (this.#running) await this.#io.stdin(this.#id).end();
      },
    };
  }
}
