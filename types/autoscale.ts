/**
 * How many replicas a service has by what is measured of them. Kept as a label: Docker's API has no
 * word for it, and labels come through every client unharmed.
 */
import type { ServiceSpec } from './specs.ts';

/** `min=2,max=10,cpu=60%` */
export const autoscaleLabel = 'ts-swarm.autoscale';

/** What is measured of each replica, and what one is to carry of it. */
const plainMetrics = ['cpu', 'memory', 'connections', 'connection-rate'] as const;
const replicaMetrics = [...plainMetrics, 'requests'] as const;
export type ReplicaMetric = (typeof replicaMetrics)[number];

interface ReplicaTarget {
  readonly metric: (typeof plainMetrics)[number];
  /** `cpu`, `memory`: the part of what is reserved, 0.6 for 60%; the others: a number. */
  readonly target: number;
}

/** Where a replica counts the requests that it has served. */
export interface RequestCounter {
  /** Of its metrics page, in the container's own network. */
  readonly port: number;
  /** Begins with a slash. */
  readonly path: string;
  /** The counter's name, which is summed over its labels. */
  readonly counter: string;
}

/** Each replica's own counter of requests is read. */
export interface RequestsTarget extends RequestCounter {
  readonly metric: 'requests';
  /** Requests a second that one replica is to carry. */
  readonly target: number;
}

/** A Prometheus server is asked for the whole service's value. */
export interface QueryTarget {
  readonly metric: 'prometheus';
  readonly url: string;
  readonly query: string;
  /** What one replica is to carry of the value. */
  readonly target: number;
}

export type AutoscaleTarget = ReplicaTarget | RequestsTarget | QueryTarget;

export interface AutoscaleSettings {
  readonly min: number;
  readonly max: number;
  /** For so long fewer replicas must have been enough before any is taken away. */
  readonly windowMs: number;
  readonly targets: readonly AutoscaleTarget[];
}

/** What autoscaling has led to so far. */
export interface AutoscaleStatus {
  /**
   * `limited`: more than `max` would be needed; `held`: something keeps it from being scaled;
   * `partial`: some of its replicas could not be measured, and are taken to be as busy as they may.
   */
  readonly state: 'steady' | 'limited' | 'held' | 'partial';
  /** What limits or holds it, or what is not known; empty where there is nothing of the kind. */
  readonly message: string;
  /** The last change of the number. */
  readonly scaled?: {
    readonly atMs: number;
    readonly from: number;
    readonly to: number;
    readonly reason: string;
  };
}

/** `autoscaled from 2 to 5: cpu at 140% (target 60%)` */
export function scaledText({ from, to, reason }: NonNullable<AutoscaleStatus['scaled']>): string {
  return `autoscaled from ${from} to ${to}: ${reason}`;
}

const windowDefaultMs = 5 * 60_000;
const windowMinMs = 1_000;
const windowMaxMs = 3_600_000;
const replicasMax = 10_000;
const textMax = 4_096;
const counterDefault = 'http_requests_total';
const pathDefault = '/metrics';
const boundKeys = ['min', 'max', 'window'];
const sourceKeys = ['metrics', 'counter', 'prometheus', 'query', 'target'];
const settingKeys = [...boundKeys, ...replicaMetrics, ...sourceKeys];

/** The settings of a service; undefined for one that has none, or none that are good. */
export function autoscaleOf({
  labels,
}: Pick<ServiceSpec, 'labels'>): AutoscaleSettings | undefined {
  const text = labels[autoscaleLabel];
  const read = text === undefined ? undefined : readAutoscale(text);
  return typeof read === 'string' ? undefined : read;
}

/** The settings, or a sentence about what is wrong with the text. */
export function readAutoscale(text: string): AutoscaleSettings | string {
  if (text.length > textMax) return `the text is longer than ${textMax} characters`;
  const values = new Map<string, string>();
  for (const part of partsOf(text)) {
    const at = part.indexOf('=');
    const key = part.slice(0, Math.max(0, at)).trim();
    const value = part.slice(at + 1).trim();
    if (!settingKeys.includes(key)) return `"${part}" is none of ${settingKeys.join('=, ')}=`;
    if (values.has(key)) return `${key} is given more than once`;
    values.set(key, value);
  }
  return settingsOf(values);
}

function settingsOf(values: ReadonlyMap<string, string>): AutoscaleSettings | string {
  const min = values.has('min') ? count(values.get('min')) : 1;
  const max = count(values.get('max'));
  if (!values.has('max')) return 'max= is missing: say how many replicas there may be';
  if (min === undefined || max === undefined || max < 1) {
    return `min and max are whole numbers up to ${replicasMax}, such as min=2,max=10`;
  }
  if (min > max) return `min=${min} is more than max=${max}`;
  const windowMs = values.has('window') ? durationMs(values.get('window')) : windowDefaultMs;
  if (windowMs === undefined || windowMs < windowMinMs || windowMs > windowMaxMs) {
    return `window=${values.get('window')} is no time from 1s to 1h, such as 5m`;
  }
  const targets: AutoscaleTarget[] = [];
  for (const metric of plainMetrics) {
    const value = values.get(metric);
    if (value === undefined) continue;
    const target = targetOf(metric, value);
    if (target === undefined) return `${metric}=${value} is no target, such as ${example(metric)}`;
    targets.push({ metric, target });
  }
  for (const read of [requestsTarget, queryTarget]) {
    const target = read(values);
    if (typeof target === 'string') return target;
    if (target !== undefined) targets.push(target);
  }
  if (targets.length === 0) {
    return (
      'nothing is measured: give cpu=60%, memory=70%, connections=50, connection-rate=100, ' +
      'requests=50/s,metrics=8080/metrics or prometheus=URL,query=…,target=N'
    );
  }
  if (min === 0 && targets.some(({ metric }) => metric !== 'prometheus')) {
    return 'min=0 needs a Prometheus query alone: of no replicas nothing else can be measured';
  }
  return { min, max, windowMs, targets };
}

function requestsTarget(values: ReadonlyMap<string, string>): RequestsTarget | string | undefined {
  const [requests, metrics, counter = counterDefault] = ['requests', 'metrics', 'counter'].map(
    (key) => values.get(key),
  );
  if (requests === undefined) {
    if (metrics === undefined && !values.has('counter')) return undefined;
    return 'metrics= and counter= say where requests are counted: give requests=50/s with them';
  }
  const target = positive(requests.replace(/\/s$/, ''));
  if (target === undefined) return `requests=${requests} is no target, such as requests=50/s`;
  if (metrics === undefined) {
    return (
      'requests= needs metrics=PORT/PATH, where each replica tells in the format of Prometheus how ' +
      'many it has served, such as metrics=8080/metrics; connection-rate= needs nothing of the kind'
    );
  }
  // What goes into a request's first line has no blanks in it, and no line's end.
  const [, digits = '', path = pathDefault] = /^(\d{1,5})(\/[!-~]{0,1000})?$/.exec(metrics) ?? [];
  const port = Number(digits);
  if (port < 1 || port > 65_535 || path.includes('#')) {
    return `metrics=${metrics} is no port and path, such as metrics=8080/metrics`;
  }
  if (!/^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$/.test(counter)) {
    return `counter=${counter} is no name of a counter, such as ${counterDefault}`;
  }
  return { metric: 'requests', target, port, path, counter };
}

function queryTarget(values: ReadonlyMap<string, string>): QueryTarget | string | undefined {
  const [url, query, given] = ['prometheus', 'query', 'target'].map((key) => values.get(key));
  if (url === undefined && query === undefined && given === undefined) return undefined;
  const target = positive(given ?? '');
  if (url === undefined || query === undefined || query === '' || target === undefined) {
    return 'a query needs prometheus=URL, query=… and target=N (what one replica is to carry)';
  }
  if (!/^https?:\/\/[^@/?#]+(?:\/[^?#]*)?$/.test(url)) {
    return `prometheus=${url} is no address such as http://10.0.0.9:9090 (without name and password)`;
  }
  return { metric: 'prometheus', url, query, target };
}

/** At the commas that are in no brackets and no quotes, as queries have some of their own. */
function partsOf(text: string): string[] {
  const parts = [''];
  let depth = 0;
  let quote = '';
  let escaped = false;
  for (const char of text) {
    if (char === ',' && depth === 0 && quote === '') {
      parts.push('');
      continue;
    }
    parts.push(`${parts.pop() ?? ''}${char}`);
    if (quote !== '') {
      if (!escaped && char === quote) quote = '';
      escaped = !escaped && char === '\\';
    } else if ('"\'`'.includes(char)) quote = char;
    else if ('([{'.includes(char)) depth++;
    else if (')]}'.includes(char)) depth--;
  }
  return parts;
}

function targetOf(metric: ReplicaTarget['metric'], value: string): number | undefined {
  if (metric === 'connections' || metric === 'connection-rate') return positive(value);
  const percent = value.endsWith('%') ? positive(value.slice(0, -1)) : undefined;
  return percent === undefined || percent > 1000 ? undefined : percent / 100;
}

function example(metric: ReplicaTarget['metric']): string {
  return metric === 'cpu' || metric === 'memory' ? `${metric}=60%` : `${metric}=50`;
}

function count(value: string | undefined): number | undefined {
  const number = /^\d{1,6}$/.test(value ?? '') ? Number(value) : undefined;
  return number === undefined || number > replicasMax ? undefined : number;
}

function positive(value: string): number | undefined {
  const number = /^\d{1,15}(?:\.\d{1,9})?$/.test(value) ? Number(value) : 0;
  return number > 0 ? number : undefined;
}

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** As Go writes them: `90s`, `1m30s`. */
function durationMs(text = ''): number | undefined {
  if (!/^(?:\d{1,9}(?:ms|s|m|h))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+)(ms|s|m|h)/g)].reduce(
    (sum, [, number, unit]) => sum + Number(number) * unitMs[unit as keyof typeof unitMs],
    0,
  );
}

/**
 * The spec that is to follow `present`, with the number of replicas as autoscaling has it: who
 * changes something else, or deploys the same file again, takes no replicas from under the load.
 */
export function withScale(present: ServiceSpec | undefined, next: ServiceSpec): ServiceSpec {
  const settings = autoscaleOf(next);
  const asked = next.mode.replicated?.replicas;
  if (settings === undefined || next.mode.replicated === undefined) return next;
  const isScaled = present !== undefined && autoscaleOf(present) !== undefined;
  const before = isScaled ? present.mode.replicated?.replicas : undefined;
  const replicas = Math.min(settings.max, Math.max(settings.min, before ?? asked ?? 1));
  return replicas === asked ? next : { ...next, mode: { replicated: { replicas } } };
}
