/**
 * Owns the answer to what would happen: changes of services are validated by the commands' own
 * code, applied to a copy of the tables, and rehearsed there with the planners of the reconcile
 * pass and workers on which all goes well. May import control's service commands, reconcile's pass,
 * the store, types and lib. Read preview.ts first, then rehearsal.ts.
 */
export { PreviewDesk } from './desk.ts';
export { Preview, type PreviewEnv } from './preview.ts';
