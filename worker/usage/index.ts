/**
 * Owns the measuring of tasks for managers that scale services by it: processor time, memory, TCP
 * connections. Imports lib, types, gen and the ports of runtime and executor. Read gauge.ts first.
 */
export { taskGauge } from './gauge.ts';
