/** Waits until a service has converged, and draws how far it has come. */
import { SwarmError } from '../../lib/errors.ts';
import type { Client } from '../client/index.ts';
import type { Context } from '../command/context.ts';
import { durationMs } from '../command/flags.ts';
import type { Output } from '../format/output.ts';
import { ellipsis } from '../format/units.ts';
import { findService, listNodes, listTasks } from './lookup.ts';
import { patiently } from './patience.ts';
import { ProgressTracker, type ProgressView, type SlotView } from './progress.ts';

const pollMs = 200;
/** The first seconds decide how quick a command feels. */
const eagerPollMs = 60;
const eagerMs = 2000;
const maxBars = 20;
const barWidth = 50;

export const timeoutFlag = durationMs(
  'timeout',
  'Give up waiting for the service to converge after this time (0: wait for ever)',
  { shownDefault: '5m, and 0 for jobs' },
);

interface WaitOptions {
  readonly quiet: boolean;
  /** What the user calls the service; its id where that is all there is. */
  readonly name?: string;
  /** Going back is what was asked for. */
  readonly rollback?: boolean;
  readonly timeoutMs: number | undefined;
  /** The service's version before the change that is waited for; 0 for a new service. */
  readonly sinceVersion: number;
  /** The iteration of a job before the one that is waited for. */
  readonly afterIteration?: number;
}

/**
 * Resolves when the service has converged, or at Ctrl-C, which leaves the operation going. Throws
 * with the reasons of the failing tasks when it will not converge.
 */
export async function waitConverged(
  context: Context,
  client: Client,
  serviceId: string,
  options: WaitOptions,
): Promise<void> {
  const named = options.name ?? serviceId;
  const interrupted = new AbortController();
  const interrupt = context.onInterrupt(() => interrupted.abort());
  const tracker = new ProgressTracker({
    rollback: options.rollback ?? false,
    timeoutMs: options.timeoutMs,
    sinceVersion: options.sinceVersion,
  });
  const screen = screenFor(context.out, options.quiet);
  const startMs = context.clock.monotonicMs();
  try {
    for (;;) {
      const { signal } = interrupted;
      const view = await look(client, serviceId, { tracker, context, signal, options });
      screen.show(view);
      if (view.outcome.kind === 'converged') {
        screen.end(`verify: Service ${named} converged`);
        return;
      }
      if (view.outcome.kind === 'failed') {
        screen.end();
        throw new SwarmError('failed-precondition', view.outcome.message);
      }
      const eager = context.clock.monotonicMs() - startMs < eagerMs;
      await context.clock.sleep(eager ? eagerPollMs : pollMs, { signal });
    }
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    screen.end();
    context.out.line('Operation continuing in background.');
    context.out.line(`Use \`ts-swarm service ps ${named}\` to check progress.`);
  } finally {
    interrupt[Symbol.dispose]();
  }
}

async function look(
  client: Client,
  serviceId: string,
  {
    tracker,
    context,
    signal,
    options,
  }: {
    readonly tracker: ProgressTracker;
    readonly context: Context;
    readonly signal: AbortSignal;
    readonly options: WaitOptions;
  },
): Promise<ProgressView> {
  signal.throwIfAborted();
  // The leader may die while a command waits: another one goes on where it was.
  const ask = () =>
    Promise.all([
      findService(client, serviceId),
      listTasks(client, { service: [serviceId], '_up-to-date': ['true'] }, { signal }),
      listNodes(client, {}, { signal }),
    ]);
  const [service, tasks, nodes] = await patiently(context.clock, ask, { signal });
  const iteration = service.JobStatus?.JobIteration?.Index ?? 0;
  if (options.afterIteration !== undefined && iteration <= options.afterIteration) return notBegun;
  return tracker.step({
    service,
    tasks,
    nodes: new Map(nodes.map((node) => [node.ID, node])),
    nowMs: context.clock.monotonicMs(),
  });
}

const notBegun: ProgressView = {
  overall: 'job progress: waiting for the run to begin',
  slots: [],
  notes: [],
  outcome: { kind: 'going' },
};

interface Screen {
  show(view: ProgressView): void;
  end(lastLine?: string): void;
}

function screenFor(out: Output, quiet: boolean): Screen {
  if (quiet) return { show() {}, end() {} };
  return out.isTerminal ? new LiveScreen(out) : new PlainScreen(out);
}

/** One line for each thing that is new; nothing is drawn over. */
class PlainScreen implements Screen {
  readonly #out: Output;
  readonly #said = new Set<string>();
  #overall = '';

  constructor(out: Output) {
    this.#out = out;
  }

  show(view: ProgressView): void {
    if (view.overall !== this.#overall) this.#out.line(view.overall);
    this.#overall = view.overall;
    for (const slot of view.slots) {
      if (slot.failed) this.#once(slot.text, `${slot.label}: ${slot.text}`);
    }
    for (const note of view.notes) this.#once(note.replace(/\d+ seconds?/, ''), note);
  }

  end(lastLine?: string): void {
    if (lastLine !== undefined) this.#out.line(lastLine);
  }

  /** A crash loop says the same for ever: what was said is kept, within a bound. */
  #once(key: string, line: string): void {
    if (this.#said.has(key)) return;
    if (this.#said.size < 1000) this.#said.add(key);
    this.#out.line(line);
  }
}

/** Draws over what it drew before. */
class LiveScreen implements Screen {
  readonly #out: Output;
  #drawn: readonly string[] = [];

  constructor(out: Output) {
    this.#out = out;
  }

  show(view: ProgressView): void {
    const { columns, rows } = this.#out;
    const bars = view.slots.length <= Math.min(maxBars, rows - 4) ? view.slots : [];
    this.#draw([
      view.overall,
      ...bars.map((slot) => slotLine(slot, columns)),
      ...view.notes.map((note) => ellipsis(note, columns - 1)),
    ]);
  }

  end(lastLine?: string): void {
    if (lastLine === undefined) return;
    this.#draw([...this.#drawn.filter((line) => !line.startsWith('verify: ')), lastLine]);
  }

  #draw(lines: readonly string[]): void {
    if (lines.join('\n') === this.#drawn.join('\n')) return;
    const up = this.#drawn.length > 0 ? `\u001B[${this.#drawn.length}A` : '';
    this.#out.write(`${up}\r\u001B[J${lines.map((line) => `${line}\n`).join('')}`);
    this.#drawn = lines;
  }
}

function slotLine(slot: SlotView, columns: number): string {
  const text = slot.failed ? slot.text : slot.text.padEnd(9);
  const line = `${slot.label}: ${text}`;
  if (slot.failed || columns < line.length + barWidth + 4) return ellipsis(line, columns - 1);
  const full = Math.round(slot.progress * barWidth);
  const bar = full === 0 ? '' : `${'='.repeat(full)}>`;
  return `${line} [${bar.padEnd(barWidth + 1)}]`;
}
