/** How many replicas a service is to have: what is known in, the changed service out. */
import { wanted } from '../orchestrator/index.ts';
import {
  autoscaleOf,
  type AutoscaleSettings,
  type AutoscaleStatus,
  type Service,
  type Task,
} from '../../types/index.ts';
import { measure, type Load, type Measured, type Readings } from './load.ts';
import { paceOf } from './pace.ts';

/** Loads that differ from the target by less than this part of it change nothing. */
const tolerance = 0.1;
/** In a step a service may double, or grow by so many where that is more. */
const growthMin = 4;
/** A sum of many parts is not exact: 3.0000000001 replicas' worth is 3. */
const epsilon = 1e-6;

/** What a leader remembers of a service between two plans; a new one begins with none. */
export interface Memory {
  /** Since when it watches. */
  readonly sinceMs: number;
  /** How many replicas would have been right, in the window up to now. */
  readonly rights: readonly { readonly atMs: number; readonly replicas: number }[];
  /** What is to be written down of its standing, once it has lasted. */
  readonly standing?: { readonly sinceMs: number; readonly state: AutoscaleStatus['state'] };
}

interface AutoscaleInput {
  readonly service: Service;
  readonly tasks: Iterable<Task>;
  readonly readings: Readings;
  readonly memory: Memory | undefined;
  readonly nowMs: number;
}

interface AutoscalePlan {
  readonly memory: Memory;
  /** Present where the service is to be changed. */
  readonly service?: Service;
}

/** What follows for the number, and how the service stands with it. */
interface Decision {
  readonly replicas: number;
  /** How many would be right by what is measured; the present number where that is not known. */
  readonly right: number;
  readonly state: AutoscaleStatus['state'];
  readonly message: string;
  readonly reason: string;
}

/** For a service that is autoscaled; of any other nothing changes. */
export function planAutoscale(input: AutoscaleInput): AutoscalePlan {
  const { service, nowMs } = input;
  const memory = input.memory ?? { sinceMs: nowMs, rights: [] };
  const settings = autoscaleOf(service.spec);
  const replicas = service.spec.mode.replicated?.replicas;
  if (settings === undefined || replicas === undefined) return { memory };
  const decision = decide(input, settings, replicas, memory);
  const { windowMs } = settings;
  const rights = memory.rights.filter(({ atMs }) => atMs > nowMs - windowMs && atMs <= nowMs);
  const next = {
    sinceMs: Math.min(memory.sinceMs, nowMs),
    rights: [...rights, { atMs: nowMs, replicas: decision.right }],
    standing: standingAfter(memory, decision.state, nowMs),
  };
  if (decision.replicas !== replicas) {
    return { memory: next, service: scaled(service, decision, nowMs) };
  }
  const { state = 'steady', message = '' } = service.autoscale ?? {};
  const hasLasted = nowMs - next.standing.sinceMs >= paceOf(settings).patienceMs;
  // Of what holds it only the kind is compared: figures that change all the time are no news.
  if (!hasLasted || (state === decision.state && kindOf(message) === kindOf(decision.message))) {
    return { memory: next };
  }
  const status = { ...service.autoscale, state: decision.state, message: decision.message };
  return { memory: next, service: { ...service, autoscale: status } };
}

function standingAfter({ standing }: Memory, state: AutoscaleStatus['state'], nowMs: number) {
  return standing?.state === state && standing.sinceMs <= nowMs
    ? standing
    : { state, sinceMs: nowMs };
}

function kindOf(message: string): string {
  return message.replaceAll(/\d+(?:\.\d+)?/g, '#');
}

function scaled(service: Service, { replicas, ...decision }: Decision, nowMs: number): Service {
  const from = service.spec.mode.replicated?.replicas ?? 1;
  const { state, message, reason } = decision;
  return {
    ...service,
    spec: { ...service.spec, mode: { replicated: { replicas } } },
    autoscale: { state, message, scaled: { atMs: nowMs, from, to: replicas, reason } },
  };
}

function decide(
  input: AutoscaleInput,
  settings: AutoscaleSettings,
  replicas: number,
  memory: Memory,
): Decision {
  const { service, nowMs } = input;
  const { min, max, targets } = settings;
  const keep = { replicas, right: replicas, state: 'steady', message: '', reason: '' } as const;
  if (replicas < min) return { ...keep, replicas: min, right: min, reason: `at least ${min}` };
  if (replicas > max) return { ...keep, replicas: max, right: max, reason: `at most ${max}` };
  const running = [...input.tasks].filter(
    (task) => wanted(task) && task.status.state === 'running',
  );
  const { warmUpMs } = paceOf(settings);
  const warm = running.filter(({ runningAtMs = nowMs }) => nowMs - runningAtMs >= warmUpMs);
  const loads = targets.map((target) => measure(service, target, warm, input.readings));
  const { ideal, reason } = idealOf(loads, replicas);
  const right = Math.min(max, Math.max(min, ideal));
  const held = heldBy(service, loads, { replicas, right, running: running.length });
  if (held !== undefined) return { ...keep, right, state: 'held', message: held };
  const next = stepped({ settings, replicas, right, memory, service, nowMs });
  return { replicas: next, right, ...standingOf(loads, { ideal, max, reason }), reason };
}

function standingOf(
  loads: readonly Measured[],
  { ideal, max, reason }: { ideal: number; max: number; reason: string },
): Pick<Decision, 'state' | 'message'> {
  if (ideal > max) {
    const message = `${ideal} replicas would be needed, at most ${max} may be: ${reason}`;
    return { state: 'limited', message };
  }
  const doubts = loads.flatMap((load) => ('missing' in load ? [] : (load.doubt ?? [])));
  return doubts.length === 0
    ? { state: 'steady', message: '' }
    : { state: 'partial', message: doubts.join('; ') };
}

/** By the metric that asks for most. What is unknown may have the service grow, never shrink. */
function idealOf(
  loads: readonly Measured[],
  replicas: number,
): { readonly ideal: number; readonly reason: string } {
  const known = loads.filter((load): load is Load => !('missing' in load));
  const wishes = known.map((load) => ({ ideal: idealFor(load, replicas), reason: load.text }));
  const [most] = wishes.toSorted((a, b) => b.ideal - a.ideal);
  if (most === undefined || (known.length < loads.length && most.ideal < replicas)) {
    return { ideal: replicas, reason: '' };
  }
  return most;
}

/** Of an unknown replica it is held that it carries nothing, or its target: what changes less. */
function idealFor({ sum, unknown }: Load, replicas: number): number {
  if (sum > replicas * (1 + tolerance)) return Math.ceil(sum - epsilon);
  if (replicas > 0 && sum + unknown < replicas * (1 - tolerance)) {
    return Math.ceil(sum + unknown - epsilon);
  }
  return sum > 0 && replicas === 0 ? Math.ceil(sum - epsilon) : replicas;
}

/** Why the service stays as it is, whatever is measured. */
function heldBy(
  { updateStatus }: Service,
  loads: readonly Measured[],
  { replicas, right, running }: { replicas: number; right: number; running: number },
): string | undefined {
  const state = updateStatus?.state;
  if (state === 'paused') return 'its update is paused';
  if (state === 'rollback_paused') return 'its rollback is paused';
  // What is of the old spec and of the new together says little of how many are enough.
  const isUnderWay = state === 'updating' || state === 'rollback_started';
  if (isUnderWay && right < replicas) return 'it loses no replicas while it is updated';
  if (right > replicas && running * 2 < replicas) {
    return `it gets no more replicas while only ${running} of its ${replicas} run`;
  }
  const missing = loads.flatMap((load) => ('missing' in load ? [load.missing] : []));
  return missing.length > 0 && right <= replicas ? missing.join('; ') : undefined;
}

interface Step {
  readonly settings: AutoscaleSettings;
  readonly replicas: number;
  readonly right: number;
  readonly memory: Memory;
  readonly service: Service;
  readonly nowMs: number;
}

/** The number after this step: growing at once, shrinking to what sufficed for the whole window. */
function stepped({ settings, replicas, right, memory, service, nowMs }: Step): number {
  const { growMs, shrinkMs } = paceOf(settings);
  const sinceScaledMs = nowMs - (service.autoscale?.scaled?.atMs ?? -Infinity);
  // A clock that was set back does not hold a service up for longer than a step either.
  if (sinceScaledMs >= 0 && sinceScaledMs < (right > replicas ? growMs : shrinkMs)) return replicas;
  if (right > replicas) return Math.min(right, replicas + Math.max(growthMin, replicas));
  if (right === replicas || nowMs - memory.sinceMs < settings.windowMs) return replicas;
  const recent = memory.rights.filter(({ atMs }) => atMs > nowMs - settings.windowMs);
  const enough = recent.reduce((most, { replicas: one }) => Math.max(most, one), right);
  return enough < replicas ? Math.max(enough, Math.floor(replicas / 2)) : replicas;
}
