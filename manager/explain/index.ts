/**
 * Owns the answer to "why": why a task waits, was restarted or stopped, why it is where it is, why an
 * update is paused, what a stop waits for. Pure: reads a view and asks the planners themselves, so
 * that it cannot tell another story than theirs. May import orchestrator, scheduler, the store's
 * view, types and lib. Read explain.ts first.
 */
export { explain } from './explain.ts';
