/**
 * Owns the Compose specification: files in, specs for a swarm out, and a sentence with file, line
 * and column for each thing that cannot be had. Pure: files, variables and hashes are passed in.
 * Imports `types`, and of `lib` what is pure. Read load.ts first, then convert.ts; keys.ts is the
 * table of all keys.
 */
import { convertProject, type ConvertOptions } from './convert.ts';
import { loadProject, type LoadOptions, type Sources } from './load.ts';
import { toPlain } from './node.ts';
import { inOrder, problemText } from './problems.ts';
import type { Stack } from './stack.ts';

export type { KeyPlace, Use } from './keys.ts';
export type { LoadOptions, Sources } from './load.ts';
export {
  fileLabel,
  imageLabel,
  stackLabel,
  type Stack,
  type StackBuild,
  type StackFile,
  type StackNetwork,
  type StackService,
} from './stack.ts';

/**
 * The files as one document, as plain values; what a swarm could not do is not looked at. Throws
 * `invalid-argument` where they cannot be read.
 */
export function mergedDocument(options: LoadOptions, sources: Sources): unknown {
  const project = loadProject(options, sources);
  project.problems.throwAny();
  return toPlain(project.root);
}

export interface Composed {
  readonly stack: Stack;
  /** Sentences with their places, of what is taken otherwise than it is written. */
  readonly warnings: readonly string[];
  /** The merged document, as plain values. */
  readonly document: unknown;
}

/** Throws `invalid-argument` with a line for each thing that is wrong. */
export function compose(
  options: LoadOptions,
  sources: Sources,
  hash: ConvertOptions['hash'],
): Composed {
  const project = loadProject(options, sources);
  if (project.problems.isBroken) project.problems.throwAny();
  const stack = convertProject(project, { name: options.name, sources, hash });
  project.problems.throwAny();
  const warnings = inOrder(project.problems.warnings).map(problemText);
  return { stack, warnings, document: toPlain(project.root) };
}
