/**
 * Owns the tasks of this node: their durable copy, and a driver for each that carries out what the
 * machine in worker/task decides. Imports lib, types and its siblings in worker. Read executor.ts
 * (the port) first, then task-runner.ts and task-driver.ts.
 */
export type { TaskAssignments, TaskExecutor } from './executor.ts';
export { TaskRunner, type TaskRunnerDeps, type TaskRunnerOptions } from './task-runner.ts';
