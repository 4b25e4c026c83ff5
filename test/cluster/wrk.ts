/** `wrk` against a service, as clients that give up after a second, and when it got no answers. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import type { Host } from '../lab/index.ts';
import { nowMs } from './load.ts';

interface WrkOptions {
  readonly address: string;
  readonly port: number;
  /** The namespace it comes from; the host's own unless told. */
  readonly netns?: string;
}

/** When a connection of wrk had no answer, or a wrong one; times are as `nowMs` tells them. */
interface Trouble {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Of a second, more or less. */
interface Round {
  readonly fromMs: number;
  readonly requests: number;
  /** Connections that were refused or broken, and answers other than 200. */
  readonly errors: number;
  readonly troubles: readonly Trouble[];
}

const script = join(import.meta.dirname, 'wrk-watch.lua');
const connections = 4;
/** A machine that is busy with others may stand still for longer than a round takes. */
const patienceMs = 120_000;
const watched = /^watched (\d+) (\d+) (\d+) (.*)$/m;

export class Wrk {
  readonly #host: Host;
  readonly #argv: readonly string[];
  readonly #rounds: Round[] = [];
  readonly #running: Promise<readonly PromiseSettledResult<void>[]>;
  /** It ends with a round that began later than this, and in which something was answered. */
  #lastsUntilMs = Infinity;
  #givesUpAtMs = Infinity;

  private constructor(host: Host, argv: readonly string[]) {
    this.#host = host;
    this.#argv = argv;
    // What it fails of is told by `stop`.
    this.#running = Promise.allSettled([this.#run()]);
  }

  static start(host: Host, { address, port, netns }: WrkOptions): Wrk {
    const inside = netns === undefined ? [] : ['nsenter', `--net=${netns}`, '--'];
    const counts = ['-t', String(connections), '-c', String(connections), '-d', '1s'];
    return new Wrk(host, [...inside, 'wrk', ...counts, '-s', script, `http://${address}:${port}/`]);
  }

  /** Waits for the first round that began after that and was answered, or for two minutes. */
  async stop(afterMs: number): Promise<readonly Round[]> {
    this.#lastsUntilMs = afterMs;
    this.#givesUpAtMs = nowMs() + patienceMs;
    const [ended] = await this.#running;
    if (ended?.status === 'rejected') throw ended.reason;
    return this.#rounds;
  }

  /** A connection that hangs is given up after a second, as most clients do sooner or later. */
  async #run(): Promise<void> {
    const isOver = () => {
      const last = this.#rounds.at(-1);
      if (last === undefined || last.fromMs <= this.#lastsUntilMs) return false;
      return last.requests > 0 || nowMs() > this.#givesUpAtMs;
    };
    while (!isOver()) {
      const fromMs = nowMs();
      const said = await this.#host.exec(this.#argv);
      const found = watched.exec(said);
      assert.ok(found, `wrk says nothing of what it saw: ${said}`);
      const [, requests, errors, endMs, silences = ''] = found;
      const silent = silences.split(',').flatMap((text) => {
        const [from, to] = text.split(' ').map(Number);
        return from === undefined || to === undefined ? [] : [{ fromMs: from, toMs: to }];
      });
      const broken = Number(errors) > 0 ? [{ fromMs, toMs: Number(endMs) }] : [];
      const troubles = [...silent, ...broken];
      const counts = { requests: Number(requests), errors: Number(errors) };
      this.#rounds.push({ fromMs, ...counts, troubles });
    }
  }
}

/** "1000 requests, 2 errors, no answers from 10 to 900 ms after it": for people. */
export function wrkLine(rounds: readonly Round[], sinceMs: number): string {
  const sum = (of: (round: Round) => number) =>
    rounds.reduce((total, round) => total + of(round), 0);
  const troubles = rounds.flatMap((round) => round.troubles);
  const from = Math.min(...troubles.map(({ fromMs }) => fromMs)) - sinceMs;
  const to = Math.max(...troubles.map(({ toMs }) => toMs)) - sinceMs;
  const when =
    troubles.length === 0
      ? 'always answered'
      : `without answers or with errors from ${from.toFixed(0)} to ${to.toFixed(0)} ms after it`;
  return `${sum(({ requests }) => requests)} requests, ${sum(({ errors }) => errors)} errors, ${when}`;
}
