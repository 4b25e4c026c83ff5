/**
 * Owns where tasks go: filters, ranking, spreading, and the reason for every refusal. Pure; may
 * import the store's view, types and lib. Read schedule.ts first, then filters.ts and rank.ts.
 */
export { constraintsOf, checkConstraints, satisfiesAll, type Constraint } from './constraint.ts';
export {
  schedule,
  type Placement,
  type Refusal,
  type Schedule,
  type ScheduleRequest,
} from './schedule.ts';
export { preferencesOf } from './spread.ts';
export { verdictsOn, type Verdict } from './verdicts.ts';
