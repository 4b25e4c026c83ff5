/**
 * Owns the managers' side of the nodes' streams: who is there, what each node is to run, what nodes
 * report, and container logs on their way to a reader. May import lib, types, gen and the store.
 * Read dispatcher.ts first, then session.ts; liveness.ts and assignments.ts are the pure cores.
 */
export { Dispatcher, type DispatcherParts, type DispatcherStore } from './dispatcher.ts';
export { forwardedExaminations, serveDoctor } from './examinations.ts';
export { LogBroker, type LogBrokerParts } from './log-broker.ts';
export { forwardedLogs, serveLogReader } from './log-forwarding.ts';
export type { MeasureRequest } from './session.ts';
export { TunnelBroker, type TunnelBrokerParts } from './tunnel-broker.ts';
export { forwardedTunnel, serveTunnelReach } from './tunnel-forwarding.ts';
