/** A counter in a page of the text format that Prometheus reads, a piece of the page at a time. */
import { SwarmError } from '../../lib/errors.ts';

/** A line of one metric with all its labels is far shorter. */
const lineMax = 64 * 1024;
/** What counts, and what does not say what it is. */
const countingTypes = ['counter', 'untyped', 'unknown'];

/** The sum of a counter over all its labels. Methods throw SwarmError with what is wrong. */
export class CounterSum {
  readonly #name: string;
  #rest = '';
  #sum: number | undefined;
  /** As the page says; a counter with labels has no value before its first request. */
  #type: string | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  push(text: string): void {
    const lines = `${this.#rest}${text}`.split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#read(line.replace(/\r$/, ''));
    if (this.#rest.length > lineMax) {
      throw new SwarmError('resource-exhausted', 'has a line of more than 64 KiB');
    }
  }

  /** After the last piece. */
  end(): number {
    this.#read(this.#rest);
    if (this.#type !== undefined && !countingTypes.includes(this.#type)) {
      throw new SwarmError('failed-precondition', `has ${this.#name} as a ${this.#type}`);
    }
    if (this.#sum === undefined && this.#type === undefined) {
      throw new SwarmError('not-found', `has no counter ${this.#name}`);
    }
    return this.#sum ?? 0;
  }

  #read(line: string): void {
    const declared = /^# TYPE ([^ ]+) ([a-z]+)/.exec(line);
    // In OpenMetrics a counter is declared without the end of its name.
    if (declared !== null && [declared[1], `${declared[1]}_total`].includes(this.#name)) {
      this.#type = declared[2] ?? '';
    }
    const value = valueOf(line, this.#name);
    if (value === undefined) return;
    const number = Number(value);
    if (value === '' || !Number.isFinite(number) || number < 0) {
      throw new SwarmError('failed-precondition', `has ${this.#name} as "${value.slice(0, 40)}"`);
    }
    this.#sum = (this.#sum ?? 0) + number;
  }
}

/** `name{labels} value time`: the value's text; undefined for a line of something else. */
function valueOf(line: string, name: string): string | undefined {
  if (!line.startsWith(name)) return undefined;
  let rest = line.slice(name.length);
  if (!/^[ \t{]/.test(rest)) return undefined;
  rest = rest.trimStart();
  if (rest.startsWith('{')) rest = rest.slice(labelsEnd(rest));
  return rest.trim().split(/[ \t]+/)[0] ?? '';
}

/** Behind the bracket that closes the labels: one within quotes is a label's own. */
function labelsEnd(text: string): number {
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (isQuoted && char === '\\') at += 1;
    else if (char === '"') isQuoted = !isQuoted;
    else if (char === '}' && !isQuoted) return at + 1;
  }
  return text.length;
}
