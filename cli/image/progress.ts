/** Shows the stream of messages that a pull, a load or an import answers with. */
import type { IncomingMessage } from 'node:http';
import { SwarmError } from '../../lib/errors.ts';
import { jsonDocuments } from '../client/streams.ts';
import type { WireProgress } from '../client/wire.ts';
import type { Output } from '../format/output.ts';
import { ellipsis } from '../format/units.ts';

/** Lines drawn over; a message for one that has scrolled away is a line of its own. */
const maxLive = 200;

type Aux = NonNullable<WireProgress['aux']>;

/** Throws the error that the stream tells of. `quiet` reads it all the same. */
export async function showProgress(
  out: Output,
  response: IncomingMessage,
  { quiet = false, onAux }: { quiet?: boolean; onAux?: (aux: Aux) => void } = {},
): Promise<void> {
  const live: string[] = [];
  for await (const message of jsonDocuments<WireProgress>(response)) {
    if (message.aux !== undefined) onAux?.(message.aux);
    const problem = message.errorDetail?.message ?? message.error;
    if (problem !== undefined) throw new SwarmError('failed-precondition', problem);
    // What is meant for programs has no words for people.
    if (quiet || (message.status === undefined && message.stream === undefined)) continue;
    if (message.stream !== undefined) out.write(message.stream);
    else if (out.isTerminal && message.id !== undefined && message.progressDetail !== undefined) {
      drawOver(out, live, message);
    } else if (message.progress === undefined && !message.progressDetail?.total) {
      live.length = 0;
      out.line(textOf(message));
    }
  }
}

function drawOver(out: Output, live: string[], message: WireProgress): void {
  const id = message.id ?? '';
  let at = live.indexOf(id);
  if (at < 0 && live.length < maxLive) {
    at = live.push(id) - 1;
    out.line();
  }
  const up = live.length - at;
  const line = ellipsis(textOf(message), out.columns - 1);
  out.write(`\u001B[${up}A\r\u001B[2K${line}\u001B[${up}B\r`);
}

function textOf({ id, status = '', progress }: WireProgress): string {
  const name = id === undefined || id === '' ? '' : `${id}: `;
  return `${name}${status}${progress === undefined || progress === '' ? '' : ` ${progress}`}`;
}
