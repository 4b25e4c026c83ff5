/** What a build tells a client of BuildKit: vertices, their states and their output. Pure. */
import { createHash } from 'node:crypto';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { StatusResponseSchema, type StatusResponse } from '../../../gen/buildkit/control_pb.js';
import { SwarmError } from '../../../lib/errors.ts';
import { failureOf, withoutMarks } from '../output.ts';
import type { Stage } from '../dockerfile.ts';
import type { BuildPart, BuildReport, PartReport, StepsPlan, StepsReport } from '../report.ts';

type Update = MessageInitShape<typeof StatusResponseSchema>;

interface TraceOptions {
  /** What tells this build's vertices from those of others. */
  readonly id: string;
  readonly nowMs: () => number;
  readonly emit: (update: StatusResponse) => void;
}

const streams = { stdout: 1n, stderr: 2n } as const;
/** Between two states of a transfer. */
const transferPauseMs = 200;

export function traceReport(options: TraceOptions): BuildReport {
  let count = 0;
  const begin = (name: string) => new Vertex(name, count++, options);
  return {
    during: (part, work) => during(part, work, begin(nameOf(part)), options),
    steps: (plan) => new StepsTrace(plan, begin),
    refusal: (message) =>
      'failed to solve with frontend dockerfile.v0: failed to create LLB definition: ' +
      message.replace(
        /^failed to reach build target (\S+) in Dockerfile$/,
        (_all, name: string) => {
          return `target stage ${name} could not be found`;
        },
      ),
  };
}

async function during<T>(
  part: BuildPart,
  work: (report: PartReport) => Promise<T>,
  vertex: Vertex,
  { nowMs }: TraceOptions,
): Promise<T> {
  const transfer =
    part.kind === 'definition' ? 'transferring dockerfile:' : 'transferring context:';
  let bytes: number | undefined;
  let toldAtMs = -Infinity;
  const report: PartReport = {
    received(now) {
      bytes = now;
      if (nowMs() - toldAtMs < transferPauseMs) return;
      toldAtMs = nowMs();
      vertex.transfer(transfer, now, { isDone: false });
    },
    warn: (text) => vertex.log(`WARNING: ${text}`, 'stderr'),
    did: (text) => vertex.did(text),
  };
  try {
    const result = await work(report);
    if (bytes !== undefined) vertex.transfer(transfer, bytes, { isDone: true });
    vertex.end({});
    return result;
  } catch (thrown) {
    vertex.end({ error: wordsOf(thrown) });
    throw thrown;
  }
}

/** Clients know by these words who has ended a build. */
export function wordsOf(thrown: unknown): string {
  const { code, message } = SwarmError.from(thrown);
  return code === 'cancelled' ? 'context canceled' : message;
}

const partNames: Readonly<Record<BuildPart['kind'], string>> = {
  definition: '[internal] load build definition from',
  'ignore-file': '[internal] load .dockerignore',
  context: '[internal] load build context',
  notes: '[internal] what this builder leaves out',
  remote: '[internal] load remote build context',
  base: '[internal] load metadata for',
  pull: '[internal] load metadata for',
  export: 'exporting to image',
};

function nameOf(part: BuildPart): string {
  return 'name' in part ? `${partNames[part.kind]} ${part.name}` : partNames[part.kind];
}

class Vertex {
  readonly #digest: string;
  readonly #name: string;
  readonly #options: TraceOptions;
  readonly #startedMs: number;

  constructor(name: string, number: number, options: TraceOptions) {
    const hash = createHash('sha256').update(`${options.id}/${number}/${name}`).digest('hex');
    this.#digest = `sha256:${hash}`;
    this.#name = name;
    this.#options = options;
    this.#startedMs = options.nowMs();
    this.#tell({ vertexes: [this.#state] });
  }

  end(how: { readonly cached?: boolean; readonly error?: string }): void {
    this.#tell({ vertexes: [{ ...this.#state, ...how, completed: this.#now }] });
  }

  log(text: string, stream: 'stdout' | 'stderr'): void {
    const msg = Buffer.from(`${text}\n`);
    const log = { vertex: this.#digest, timestamp: this.#now, stream: streams[stream], msg };
    this.#tell({ logs: [log] });
  }

  transfer(ID: string, bytes: number, { isDone }: { readonly isDone: boolean }): void {
    this.#status(ID, { current: BigInt(bytes), isDone });
  }

  did(ID: string): void {
    this.#status(ID, { current: 0n, isDone: true });
  }

  #status(ID: string, state: { readonly current: bigint; readonly isDone: boolean }): void {
    const now = this.#now;
    const status = {
      ID,
      vertex: this.#digest,
      current: state.current,
      timestamp: now,
      started: timestampFromMs(this.#startedMs),
      ...(state.isDone ? { completed: now } : {}),
    };
    this.#tell({ statuses: [status] });
  }

  get #state() {
    return {
      digest: this.#digest,
      name: this.#name,
      started: timestampFromMs(this.#startedMs),
    };
  }

  get #now() {
    return timestampFromMs(this.#options.nowMs());
  }

  #tell(update: Update): void {
    this.#options.emit(create(StatusResponseSchema, update));
  }
}

/** buildah's lines as steps: each ends where the next begins. */
class StepsTrace implements StepsReport {
  readonly #stages: readonly Stage[];
  readonly #begin: (name: string) => Vertex;
  readonly #shown: (line: string) => string | undefined;
  #stage = -1;
  /** Of this stage, those that are shown. */
  #number = 0;
  #vertex: Vertex | undefined;
  #isCached = false;

  constructor({ stages, marked }: StepsPlan, begin: (name: string) => Vertex) {
    this.#stages = stages;
    this.#begin = begin;
    this.#shown = withoutMarks({ marked });
  }

  line(line: string, stream: 'stdout' | 'stderr'): void {
    const shown = this.#shown(line);
    if (shown === undefined) return;
    const step = /^(?:\[\d+\/\d+\] )?STEP \d+\/\d+: (.*)$/.exec(shown);
    if (step !== null) this.#next(step[1] ?? '');
    else if (/^(?:\[\d+\/\d+\] )?--> Using cache [0-9a-f]{12,}$/.test(shown)) this.#isCached = true;
    else if (!/^(\[\d+\/\d+\] )?(COMMIT\b|--> [0-9a-f]{11,64}$)|^[0-9a-f]{64}$/.test(shown)) {
      this.#vertex?.log(shown, stream);
    }
  }

  done(): void {
    this.#end({});
  }

  broken(thrown: unknown): void {
    this.#end({ error: wordsOf(thrown) });
  }

  failed(lastError: string): { readonly message: string } {
    const { message, exitCode, command, missingPath } = failureOf(lastError);
    if (exitCode !== undefined) {
      const words = `executor failed running [${command}]: exit code: ${exitCode}`;
      this.#end({ error: words });
      return { message: words };
    }
    if (missingPath !== undefined) {
      const words = `"/${missingPath}" not found: not found`;
      this.#end({ error: words });
      return { message: `failed to compute cache key: ${words}` };
    }
    this.#end({ error: message });
    return { message };
  }

  #next(text: string): void {
    this.#end({});
    const [, word = ''] = /^(\S+)/.exec(text) ?? [];
    const instruction = word.toUpperCase();
    if (instruction === 'FROM') {
      this.#stage += 1;
      this.#number = 0;
    }
    const stage = this.#stages[this.#stage];
    if (stage === undefined) return;
    const isShown =
      instruction === 'FROM' ? hasBase(stage) : /^(ADD|COPY|RUN|WORKDIR)$/.test(instruction);
    if (!isShown) return;
    this.#number += 1;
    const name = stage.name ?? (this.#stages.length > 1 ? `stage-${this.#stage}` : '');
    const total = stage.makers + (hasBase(stage) ? 1 : 0);
    const place = `${this.#number}/${Math.max(total, this.#number)}`;
    // BuildKit names a base without what the stage is called.
    const shown = instruction === 'FROM' ? text.replace(/\s+AS\s+\S+$/i, '') : text;
    this.#vertex = this.#begin(`[${name === '' ? '' : `${name} `}${place}] ${shown}`);
  }

  #end(how: { readonly error?: string }): void {
    this.#vertex?.end(this.#isCached ? { ...how, cached: true } : how);
    this.#vertex = undefined;
    this.#isCached = false;
  }
}

function hasBase({ base, isOnStage }: Stage): boolean {
  return !isOnStage && base.toLowerCase() !== 'scratch';
}
