/**
 * Go's text/template over plain values: fields, pipelines, variables, if, with, range, define and
 * the built-in functions. Owns the language alone; what the functions beyond Go's are, and what data
 * templates see, is their users' affair. Imports nothing but its neighbours in lib. Read parse.ts,
 * then exec.ts.
 */
export { TemplateError } from './error.ts';
export { execute, type Environment } from './exec.ts';
export {
  dockerFunctions,
  goFunctions,
  headerFunctions,
  rowMark,
  type TemplateFunction,
} from './functions.ts';
export { parseTemplate, type ParsedTemplate } from './parse.ts';
export { Printed, StringMap } from './values.ts';
