/**
 * Owns the reconcile pass: what the store's changes make dirty is planned by orchestrator, allocator
 * and scheduler in one go, and committed as one proposal. May import those three, the store's
 * contracts, types and lib. Read pass.ts first, then reconciler.ts.
 */
export { planPass, type PassKeys, type PassLimits, type PassPlan } from './pass.ts';
export type { Plan, PlanEnv } from './plan.ts';
export { Reconciler, type ReconcilerDeps, type ReconcileStore } from './reconciler.ts';
