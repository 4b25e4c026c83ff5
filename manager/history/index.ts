/**
 * Owns what was: a bounded memory of the changes that the log's entries made, and how the present is
 * rewound by them. May import the store's events and view, types and lib. Read history.ts first.
 */
export { History, type HistoryOptions } from './history.ts';
export { tellHistory, type HistoryQuestion } from './tell.ts';
