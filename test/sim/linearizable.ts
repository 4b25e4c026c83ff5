/**
 * Was every read of a register right? Searches for an order of all operations, each between its
 * call and its return, in which every read sees the write before it (Wing and Gong; Lowe's memory of
 * what was tried).
 */

export interface Operation {
  readonly kind: 'write' | 'read';
  readonly value: string;
  /** When it was called and when it returned, by one count of events for all. */
  readonly called: number;
  /** Infinity when nobody knows whether it was done. */
  readonly returned: number;
}

export type Verdict = 'linearizable' | 'violation' | 'undecided';

const maxSteps = 2_000_000;

/** Writes have values of their own; the register is empty at first. */
export function checkRegister(operations: readonly Operation[]): Verdict {
  const seen = new Set(operations.filter(({ kind }) => kind === 'read').map(({ value }) => value));
  // A write that may not have been done and that nobody read need not have been done. A read
  // without an answer says nothing.
  const telling = operations.filter(
    ({ kind, value, returned }) => returned !== Infinity || (kind === 'write' && seen.has(value)),
  );
  return search(telling);
}

/** A call or a return, in a list ordered by time from which operations are taken and put back. */
interface Moment {
  readonly operation: number;
  readonly isCall: boolean;
  previous: Moment | undefined;
  next: Moment | undefined;
}

function search(operations: readonly Operation[]): Verdict {
  const { head, returns } = timeline(operations);
  const tried = new Set<string>();
  const taken: { call: Moment; before: string }[] = [];
  let done = 0n;
  let value = '';
  let moment = head.next;
  for (let step = 0; head.next !== undefined; step++) {
    if (step > maxSteps) return 'undecided';
    if (moment?.isCall) {
      const operation = operations[moment.operation] as Operation;
      const fits = operation.kind === 'write' || operation.value === value;
      const withIt = done | (1n << BigInt(moment.operation));
      const state = `${withIt}:${operation.value}`;
      if (fits && !tried.has(state)) {
        tried.add(state);
        taken.push({ call: moment, before: value });
        done = withIt;
        value = operation.value;
        remove(moment);
        remove(returns[moment.operation] as Moment);
        moment = head.next;
      } else {
        moment = moment.next;
      }
      continue;
    }
    // Whatever returned before anything else could be done was done before: go back.
    const last = taken.pop();
    if (last === undefined) return 'violation';
    done &= ~(1n << BigInt(last.call.operation));
    value = last.before;
    restore(returns[last.call.operation] as Moment);
    restore(last.call);
    moment = last.call.next;
  }
  return 'linearizable';
}

function timeline(operations: readonly Operation[]) {
  const moments = operations.flatMap(({ called, returned }, operation) => [
    { at: called, operation, isCall: true },
    { at: returned, operation, isCall: false },
  ]);
  moments.sort((a, b) => (a.at === b.at ? Number(b.isCall) - Number(a.isCall) : a.at - b.at));
  const head: Moment = { operation: -1, isCall: false, previous: undefined, next: undefined };
  const returns: Moment[] = [];
  let last = head;
  for (const { operation, isCall } of moments) {
    const moment: Moment = { operation, isCall, previous: last, next: undefined };
    last.next = moment;
    last = moment;
    if (!isCall) returns[operation] = moment;
  }
  return { head, returns };
}

function remove(moment: Moment): void {
  if (moment.previous !== undefined) moment.previous.next = moment.next;
  if (moment.next !== undefined) moment.next.previous = moment.previous;
}

function restore(moment: Moment): void {
  if (moment.previous !== undefined) moment.previous.next = moment;
  if (moment.next !== undefined) moment.next.previous = moment;
}
