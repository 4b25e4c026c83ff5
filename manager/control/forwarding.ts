/** Commands given to a manager that does not lead: passed on to the leader, as JSON. */
import type { Control as ControlService } from '../../gen/control_pb.js';
import { SwarmError } from '../../lib/errors.ts';
import type { ClientOf, HandlersOf } from '../../lib/grpc/service.ts';
import type { ControlApi } from './api.ts';

type Method = keyof ControlApi;
type Commands = Record<Method, (args: unknown) => Promise<unknown>>;

const methods: ReadonlySet<string> = new Set<Method>([
  'createService',
  'updateService',
  'removeService',
  'rebalanceService',
  'createNetwork',
  'removeNetwork',
  'pruneNetworks',
  'createFile',
  'updateFile',
  'reviseFile',
  'removeFile',
  'createVolume',
  'updateVolume',
  'removeVolume',
  'updateNode',
  'removeNode',
  'updateCluster',
  'logIn',
  'logOut',
  'restore',
]);

/** A command waits for the leader's commit: longer than an election, shorter than a user's patience. */
const callTimeoutMs = 20_000;

/**
 * What the leader answers to other managers. `authorize` throws for a caller that is not a manager:
 * whoever passes may change anything.
 */
export function serveControl<Context>(
  control: ControlApi,
  authorize: (context: Context) => void,
): HandlersOf<typeof ControlService, Context> {
  return {
    async call(request, context) {
      authorize(context);
      if (!methods.has(request.method)) {
        throw new SwarmError(
          'unimplemented',
          `the leader does not know the command "${request.method}": it runs an older version`,
        );
      }
      const commands = control as unknown as Commands;
      const result = await commands[request.method as Method](parse(request.arguments));
      return { result: result === undefined ? new Uint8Array() : encode(result) };
    },
  };
}

/** The commands of the leader, wherever it is. */
export class ForwardingControl implements ControlApi {
  readonly #leader: () => Promise<ClientOf<typeof ControlService>>;
  readonly #signal: () => AbortSignal | undefined;

  /** `leader` rejects with `unavailable` where there is none; `signal` aborts when it is lost. */
  constructor(
    leader: () => Promise<ClientOf<typeof ControlService>>,
    signal: () => AbortSignal | undefined = () => undefined,
  ) {
    this.#leader = leader;
    this.#signal = signal;
  }

  createService(
    args: Parameters<ControlApi['createService']>[0],
  ): ReturnType<ControlApi['createService']> {
    return this.#call('createService', args);
  }

  updateService(
    args: Parameters<ControlApi['updateService']>[0],
  ): ReturnType<ControlApi['updateService']> {
    return this.#call('updateService', args);
  }

  removeService(args: Parameters<ControlApi['removeService']>[0]): Promise<void> {
    return this.#call('removeService', args);
  }

  rebalanceService(args: Parameters<ControlApi['rebalanceService']>[0]): Promise<void> {
    return this.#call('rebalanceService', args);
  }

  createNetwork(
    args: Parameters<ControlApi['createNetwork']>[0],
  ): ReturnType<ControlApi['createNetwork']> {
    return this.#call('createNetwork', args);
  }

  removeNetwork(args: Parameters<ControlApi['removeNetwork']>[0]): Promise<void> {
    return this.#call('removeNetwork', args);
  }

  pruneNetworks(
    args: Parameters<ControlApi['pruneNetworks']>[0],
  ): ReturnType<ControlApi['pruneNetworks']> {
    return this.#call('pruneNetworks', args);
  }

  createFile(args: Parameters<ControlApi['createFile']>[0]): ReturnType<ControlApi['createFile']> {
    return this.#call('createFile', args);
  }

  updateFile(args: Parameters<ControlApi['updateFile']>[0]): Promise<void> {
    return this.#call('updateFile', args);
  }

  reviseFile(args: Parameters<ControlApi['reviseFile']>[0]): ReturnType<ControlApi['reviseFile']> {
    return this.#call('reviseFile', args);
  }

  removeFile(args: Parameters<ControlApi['removeFile']>[0]): Promise<void> {
    return this.#call('removeFile', args);
  }

  createVolume(
    args: Parameters<ControlApi['createVolume']>[0],
  ): ReturnType<ControlApi['createVolume']> {
    return this.#call('createVolume', args);
  }

  updateVolume(args: Parameters<ControlApi['updateVolume']>[0]): Promise<void> {
    return this.#call('updateVolume', args);
  }

  removeVolume(args: Parameters<ControlApi['removeVolume']>[0]): Promise<void> {
    return this.#call('removeVolume', args);
  }

  updateNode(args: Parameters<ControlApi['updateNode']>[0]): Promise<void> {
    return this.#call('updateNode', args);
  }

  removeNode(args: Parameters<ControlApi['removeNode']>[0]): Promise<void> {
    return this.#call('removeNode', args);
  }

  updateCluster(args: Parameters<ControlApi['updateCluster']>[0]): Promise<void> {
    return this.#call('updateCluster', args);
  }

  logIn(args: Parameters<ControlApi['logIn']>[0]): Promise<void> {
    return this.#call('logIn', args);
  }

  logOut(args: Parameters<ControlApi['logOut']>[0]): Promise<void> {
    return this.#call('logOut', args);
  }

  restore(args: Parameters<ControlApi['restore']>[0]): ReturnType<ControlApi['restore']> {
    return this.#call('restore', args);
  }

  async #call<T>(method: Method, args: unknown): Promise<T> {
    const request = { method, arguments: encode(args) };
    const leader = await this.#leader();
    const signal = this.#signal();
    const options = signal === undefined ? {} : { signal };
    const { result } = await leader.call(request, { timeoutMs: callTimeoutMs, ...options });
    return (result.length === 0 ? undefined : parse(result)) as T;
  }
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new SwarmError('invalid-argument', 'a command between managers is not JSON', {
      cause: error,
    });
  }
}
