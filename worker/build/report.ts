/** What a build tells of itself, as its client wants to hear it. */
import { failureOf, translator, type Failure } from './output.ts';
import type { Stage } from './dockerfile.ts';

/** A part of a build that is no step of its Dockerfile. */
export type BuildPart =
  | { readonly kind: 'definition' | 'remote' | 'base' | 'pull'; readonly name: string }
  | { readonly kind: 'ignore-file' | 'context' | 'notes' }
  | { readonly kind: 'export'; readonly names: readonly string[] };

/** Says how far a part has come. */
export interface PartReport {
  /** Bytes that have come so far. */
  readonly received: (bytes: number) => void;
  /** Something that its author ought to know. */
  readonly warn: (text: string) => void;
  /** Of an export: something that has been done. */
  readonly did: (text: string) => void;
}

export interface StepsPlan {
  readonly stages: readonly Stage[];
  /** As `markStages` leaves a Dockerfile. */
  readonly marked: boolean;
}

export interface StepsReport {
  /** A line that buildah prints. */
  line(line: string, stream: 'stdout' | 'stderr'): void;
  done(): void;
  /** The build ends in the middle of a step, for this reason. */
  broken(thrown: unknown): void;
  /** The last line of a build that failed, in words for the client. */
  failed(lastError: string): Pick<Failure, 'message' | 'exitCode'>;
}

export interface BuildReport {
  during<T>(part: BuildPart, work: (report: PartReport) => Promise<T>): Promise<T>;
  steps(plan: StepsPlan): StepsReport;
  /** What is wrong with a Dockerfile, in words for the client. */
  refusal(message: string): string;
}

/** As the classic builder tells it: text. */
export function textReport(onOutput: (text: string) => void): BuildReport {
  const part: PartReport = {
    received: () => undefined,
    warn: (text) => onOutput(`[Warning] ${text}\n`),
    did: () => undefined,
  };
  return {
    during(what, work) {
      if (what.kind === 'pull') onOutput(`Pulling ${what.name}\n`);
      if (what.kind === 'remote') onOutput(`Fetching the build context ${what.name}\n`);
      return work(part);
    },
    steps({ marked }) {
      const translate = translator({ marked });
      return {
        line(line) {
          const text = translate(line);
          if (text !== undefined) onOutput(text);
        },
        done: () => undefined,
        broken: () => undefined,
        failed: failureOf,
      };
    },
    refusal: (message) => message,
  };
}
