/** Commands for whoever leads: this manager, or another one, to which they go as JSON. */
import type { Control as ControlService } from '../../gen/control_pb.js';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { ClientOf, HandlersOf } from '../../lib/grpc/service.ts';
import { isUntried, untriedError } from '../store/raft-errors.ts';
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
/** For so long a command looks for the leader that takes it, where the first one had just gone. */
const leaderPatienceMs = 3_000;
const leaderPollMs = 20;

/**
 * What the leader answers to other managers. `authorize` throws for a caller that is not a manager:
 * whoever passes may change anything. One that leads no more would judge commands by what it knew.
 */
export function serveControl<Context>(
  control: ControlApi,
  leads: () => boolean,
  authorize: (context: Context) => void,
): HandlersOf<typeof ControlService, Context> {
  return {
    async call(request, context) {
      authorize(context);
      if (!leads()) throw untriedError();
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

interface LeadingParts {
  /** This manager's own commands, while it leads. */
  readonly own: () => ControlApi | undefined;
  /** The leader's. Rejects with `unavailable` where there is none. */
  readonly leader: () => Promise<ClientOf<typeof ControlService>>;
  /** Aborts when the leader that is asked now is lost. */
  readonly signal?: () => AbortSignal | undefined;
  readonly clock: Clock;
}

/**
 * The commands of the leader, wherever it is. One that was refused because the lead is on its way
 * goes to the next leader: a leader may stop at any time, as for an upgrade.
 */
export class LeadersControl implements ControlApi {
  readonly #parts: LeadingParts;

  constructor(parts: LeadingParts) {
    this.#parts = parts;
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
    const { clock } = this.#parts;
    const deadlineMs = clock.monotonicMs() + leaderPatienceMs;
    for (;;) {
      try {
        return (await this.#callOnce(method, args)) as T;
      } catch (thrown) {
        const error = SwarmError.from(thrown);
        if (!isUntried(error) || clock.monotonicMs() >= deadlineMs) throw error;
      }
      await clock.sleep(leaderPollMs);
    }
  }

  async #callOnce(method: Method, args: unknown): Promise<unknown> {
    const own = this.#parts.own();
    if (own !== undefined) return (own as unknown as Commands)[method](args);
    const request = { method, arguments: encode(args) };
    const leader = await this.#parts.leader();
    const signal = this.#parts.signal?.();
    const options = signal === undefined ? {} : { signal };
    const { result } = await leader.call(request, { timeoutMs: callTimeoutMs, ...options });
    return result.length === 0 ? undefined : parse(result);
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
