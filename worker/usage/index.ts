/**
 * Owns the measuring of tasks for managers that scale services by it: processor time, memory, TCP
 * connections, and the requests that they count themselves. Imports lib, types, gen, the ports of
 * runtime and executor, and the network's way into a namespace. Read gauge.ts first.
 */
export { taskGauge } from './gauge.ts';
