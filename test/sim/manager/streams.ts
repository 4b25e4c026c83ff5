/**
 * Streams between processes, as gRPC over TCP gives them: messages come in order or not at all, a
 * cut link holds them up without telling anybody, and a process' death may or may not be told.
 */
import { create, fromBinary, toBinary, type DescMessage } from '@bufbuild/protobuf';
import {
  ManagerMessageSchema,
  NodeMessageSchema,
  type ManagerMessage,
  type NodeMessage,
} from '../../../gen/dispatcher_pb.js';
import { SwarmError } from '../../../lib/errors.ts';
import type { CallContext, CallStream, MessageStream } from '../../../lib/grpc/index.ts';
import type { Outgoing } from '../../../manager/dispatcher/session.ts';
import type { Agenda } from '../agenda.ts';
import type { Dice } from '../dice.ts';
import type { Links } from './links.ts';
import type { SimProcess } from './process.ts';

/** TCP tries again after about this time. */
const retransmitMs = 200;

interface StreamWorld {
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly links: Links;
}

type SessionHandler = (
  stream: MessageStream<NodeMessage, Outgoing>,
  context: CallContext,
) => Promise<void>;
/** What a node's end of a session says. */
type Said = Parameters<typeof create<typeof NodeMessageSchema>>[1];

/** One direction: bytes on their way, and what has arrived and was not read yet. */
class Pipe {
  readonly #world: StreamWorld;
  readonly #from: SimProcess;
  readonly #to: SimProcess;
  readonly #flight: (Uint8Array | { readonly end: SwarmError | undefined })[] = [];
  readonly #arrived: Uint8Array[] = [];
  #due = 0;
  #lastAt = 0;
  #isRetrying = false;
  #end: { readonly error: SwarmError | undefined } | undefined;
  #wake: (() => void) | undefined;

  constructor(world: StreamWorld, from: SimProcess, to: SimProcess) {
    this.#world = world;
    this.#from = from;
    this.#to = to;
  }

  send(bytes: Uint8Array): void {
    this.#push(bytes);
  }

  /** Behind all that was sent. */
  finish(error?: SwarmError): void {
    this.#push({ end: error });
  }

  /** At once: what was not read is lost. */
  break(error: SwarmError): void {
    if (this.#end !== undefined) return;
    this.#arrived.length = 0;
    this.#end = { error };
    this.#wake?.();
  }

  async *read<D extends DescMessage>(schema: D) {
    for (;;) {
      const bytes = this.#arrived.shift();
      if (bytes !== undefined) yield fromBinary(schema, bytes);
      else if (this.#end?.error !== undefined) throw this.#end.error;
      else if (this.#end !== undefined) return;
      else {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
      }
    }
  }

  #push(item: Uint8Array | { readonly end: SwarmError | undefined }): void {
    const { agenda, links } = this.#world;
    this.#flight.push(item);
    this.#lastAt = Math.max(agenda.now + links.delayMs(), this.#lastAt);
    agenda.after(this.#lastAt - agenda.now, () => {
      this.#due += 1;
      this.#deliver();
    });
  }

  #deliver(): void {
    const { agenda, links } = this.#world;
    if (this.#due === 0 || this.#isRetrying || !this.#to.alive) return;
    if (links.isCut(this.#from.name, this.#to.name) || this.#to.isPaused) {
      this.#isRetrying = true;
      agenda.after(retransmitMs, () => {
        this.#isRetrying = false;
        this.#deliver();
      });
      return;
    }
    while (this.#due > 0) {
      this.#due -= 1;
      const item = this.#flight.shift();
      if (item === undefined || this.#end !== undefined) continue;
      if (item instanceof Uint8Array) this.#arrived.push(item);
      else this.#end = { error: item.end };
    }
    this.#wake?.();
  }
}

/** A call of the Dispatcher's session, from a node's process to a manager's. */
export class SessionCall {
  readonly stream: CallStream<ManagerMessage, NonNullable<Said>>;
  readonly #world: StreamWorld;
  readonly #client: SimProcess;
  readonly #over = new AbortController();
  #server: { readonly process: SimProcess; readonly up: Pipe; readonly over: AbortController };
  readonly #down: Pipe;

  constructor(world: StreamWorld, client: SimProcess, server: SimProcess, signal?: AbortSignal) {
    this.#world = world;
    this.#client = client;
    const up = new Pipe(world, client, server);
    this.#down = new Pipe(world, server, client);
    this.#server = { process: server, up, over: new AbortController() };
    const clientDied = client.onDeath(() => this.#told(server, () => this.#serverBroken()));
    const serverDied = server.onDeath(() => this.#told(client, () => this.#clientBroken()));
    this.#over.signal.addEventListener('abort', () => {
      clientDied[Symbol.dispose]();
      serverDied[Symbol.dispose]();
    });
    signal?.addEventListener('abort', () => this.cancel(), { once: true });
    this.stream = {
      incoming: this.#down.read(ManagerMessageSchema),
      send: async (message) => {
        this.#over.signal.throwIfAborted();
        up.send(toBinary(NodeMessageSchema, create(NodeMessageSchema, message)));
      },
      signal: this.#over.signal,
      end: () => up.finish(),
      cancel: () => this.cancel(),
    };
  }

  /** The manager takes the call. */
  serve(handler: SessionHandler, context: Omit<CallContext, 'signal'>): void {
    const { up, over, process } = this.#server;
    const { signal } = over;
    const stream: MessageStream<NodeMessage, Outgoing> = {
      incoming: up.read(NodeMessageSchema),
      send: async (message) => {
        signal.throwIfAborted();
        this.#down.send(toBinary(ManagerMessageSchema, create(ManagerMessageSchema, message)));
      },
      signal,
    };
    handler(stream, { ...context, signal }).then(
      () => process.whenAwake(() => this.#hangUp()),
      (error: unknown) => process.whenAwake(() => this.#hangUp(SwarmError.from(error))),
    );
  }

  /** Nobody takes it, and the caller is told. */
  refuse(error: SwarmError): void {
    this.#world.agenda.after(this.#world.links.delayMs(), () => this.#down.break(error));
  }

  /** Breaks the call off, from the caller's side. */
  cancel(): void {
    if (this.#over.signal.aborted) return;
    const reason = new SwarmError('cancelled', 'the call was cancelled');
    this.#down.break(reason);
    this.#over.abort(reason);
    this.#reach(this.#client, this.#server.process, () => this.#serverBroken());
  }

  #hangUp(error?: SwarmError): void {
    this.#server.over.abort(new SwarmError('cancelled', 'the call is over'));
    const { code, message, details } = error ?? {};
    this.#down.finish(
      code === undefined
        ? undefined
        : new SwarmError(code, message ?? '', { details: { ...details } }),
    );
  }

  #serverBroken(): void {
    const reason = new SwarmError('cancelled', 'the caller has broken off the call');
    this.#server.up.break(reason);
    this.#server.over.abort(reason);
  }

  #clientBroken(): void {
    const reason = new SwarmError('unavailable', 'the connection was reset');
    this.#down.break(reason);
    this.#over.abort(reason);
  }

  /** A machine that still runs tells of a process that ended there; one that is gone does not. */
  #told(survivor: SimProcess, tell: () => void): void {
    const dead = survivor === this.#client ? this.#server.process : this.#client;
    if (this.#world.dice.chance(0.7)) this.#reach(dead, survivor, tell);
  }

  #reach(from: SimProcess, to: SimProcess, tell: () => void): void {
    const { agenda, links } = this.#world;
    agenda.after(links.delayMs(), () => {
      if (!links.isCut(from.name, to.name)) to.whenAwake(tell);
      else agenda.after(retransmitMs, () => this.#reach(from, to, tell));
    });
  }
}
