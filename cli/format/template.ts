/**
 * Go's text/template as Docker's users write it in --format: fields, pipelines, variables, if,
 * with, range, define, and Docker's functions. Templates see plain JSON values.
 */
import { SwarmError } from '../../lib/errors.ts';
import {
  dockerFunctions as functions,
  execute,
  headerFunctions,
  parseTemplate,
  TemplateError,
} from '../../lib/go-template/index.ts';

export { rowMark } from '../../lib/go-template/index.ts';
export { goValue } from './template-values.ts';

export interface Template {
  /** Throws a SwarmError that names the place in the template. */
  run(data: unknown): string;
  /** The header of a table: the functions leave its words as they are. */
  runHeader(data: unknown): string;
}

export interface TemplateOptions {
  /** Fields that an object may leave out: they read as nothing instead of being an error. */
  readonly optional?: (name: string) => boolean;
}

/** Throws a SwarmError in Docker's words where the template is not well formed. */
export function compileTemplate(source: string, options: TemplateOptions = {}): Template {
  const parsed = explained(() => parseTemplate(source, new Set(Object.keys(functions))));
  const optional = options.optional ?? (() => false);
  const headers = { ...functions, ...headerFunctions };
  return {
    run: (data) => explained(() => execute(parsed, data, { functions, optional })),
    runHeader: (data) => explained(() => execute(parsed, data, { functions: headers, optional })),
  };
}

function explained<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new SwarmError('invalid-argument', `template parsing error: ${error.message}`, {
      cause: error,
    });
  }
}
