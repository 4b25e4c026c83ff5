/** Known mistakes in what drives the core, made by changing a method for the time of a run. */
import type { Ready } from '../../raft/index.ts';
import { HardStateWriter } from '../../raft/node/hard-state.ts';
import { Reads } from '../../raft/node/reads.ts';
import { Storage } from '../../raft/node/storage.ts';
import { Writer, type WriteRequest } from '../../raft/node/writer.ts';

interface PlantedInNode {
  readonly name: string;
  /** Returns how to take it out again. */
  readonly plant: () => () => void;
}

/** Puts another method in the place of one, which it may call. */
function replace<K extends string, F>(
  prototype: Record<K, F>,
  method: K,
  make: (original: F) => F,
): () => void {
  const original = prototype[method];
  prototype[method] = make(original);
  return () => {
    prototype[method] = original;
  };
}

type Write = Storage['write'];
type Add = Writer['add'];

export const plantedInNode: readonly PlantedInNode[] = [
  {
    name: 'a write that found the disk full is taken for done',
    plant: () =>
      replace<'write', Write>(
        Storage.prototype,
        'write',
        (original) =>
          async function (this: Storage, ...args) {
            await original.apply(this, args).catch(() => {});
          },
      ),
  },
  {
    name: 'answers leave before what they tell of is durable',
    plant: () =>
      replace<'add', Add>(
        Writer.prototype,
        'add',
        (original) =>
          function (this: Writer, request: WriteRequest) {
            const { ready } = request;
            const early = ready.messages as Ready['messages'][number][];
            early.push(...ready.messagesAfterPersist);
            original.call(this, { ...request, ready: { ...ready, messagesAfterPersist: [] } });
          },
      ),
  },
  {
    name: 'term and vote are not written',
    plant: () =>
      replace<'next', HardStateWriter['next']>(
        HardStateWriter.prototype,
        'next',
        () => () => undefined,
      ),
  },
  {
    name: 'a read is served before what it must see is applied',
    plant: () =>
      replace<'answered', Reads['answered']>(
        Reads.prototype,
        'answered',
        (original) =>
          function (this: Reads, requestId) {
            original.call(this, requestId, 0);
          },
      ),
  },
];
