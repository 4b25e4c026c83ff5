/** Fewer messages that say the same: what waits for one peer, put together before it is sent. */
import type { Message } from '../../raft/index.ts';

type Append = Message & { readonly type: 'append' };
type AppendReply = Message & { readonly type: 'append-reply' };

/**
 * Appends that continue each other become one, with the commit index of the last. Of answers that
 * accept, the later says what the earlier said, and more. The order of all else stays: to the peer
 * it is as if messages had come a little later, or had been lost.
 */
export function merged(messages: readonly Message[]): Message[] {
  const result: Message[] = [];
  let run: Append[] = [];
  const endRun = () => {
    if (run.length > 0) result.push(joined(run));
    run = [];
  };
  for (const message of messages) {
    const previous = run.at(-1);
    if (message.type === 'append' && previous !== undefined && continues(previous, message)) {
      run.push(message);
      continue;
    }
    endRun();
    if (message.type === 'append') run.push(message);
    else if (replaces(result.at(-1), message)) result[result.length - 1] = message;
    else result.push(message);
  }
  endRun();
  return result;
}

function continues(first: Append, second: Append): boolean {
  const last = first.entries.at(-1);
  return (
    first.term === second.term &&
    second.prevIndex === (last?.index ?? first.prevIndex) &&
    second.prevTerm === (last?.term ?? first.prevTerm)
  );
}

function joined(run: readonly Append[]): Append {
  const [first, ...others] = run as [Append, ...Append[]];
  if (others.length === 0) return first;
  const commit = run.reduce((most, message) => Math.max(most, message.commit), 0);
  return { ...first, entries: run.flatMap(({ entries }) => entries), commit };
}

function replaces(before: Message | undefined, after: Message): boolean {
  return (
    isAcceptance(before) &&
    isAcceptance(after) &&
    before.term === after.term &&
    before.index <= after.index
  );
}

function isAcceptance(message: Message | undefined): message is AppendReply {
  return message?.type === 'append-reply' && !message.rejected;
}
