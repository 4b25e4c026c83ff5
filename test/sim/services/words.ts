/** Random words of services' specs (test/scenario/spec.ts has their meanings), over every option. */
import type { Dice } from '../dice.ts';

type Kind = 'replicated' | 'global' | 'job' | 'global-job' | 'cron' | 'global-cron';

/** Services by name, each of which keeps its mode for life. */
export const kinds: Readonly<Record<string, Kind>> = {
  web: 'replicated',
  api: 'replicated',
  db: 'replicated',
  log: 'global',
  metrics: 'global',
  migrate: 'job',
  sweep: 'global-job',
  tick: 'cron',
  tock: 'global-cron',
};
export const serviceNames = Object.keys(kinds);
export const networkNames = ['small', 'tiny', 'back', 'passing'];
export const fileNames = ['key', 'conf'];
/** Cluster volumes, by name: on how many nodes at a time, and how they are shared there. */
export const volumes: Readonly<Record<string, string>> = {
  disk: 'single none',
  box: 'single all',
  shelf: 'multi onewriter',
  share: 'multi all',
};
export const volumeNames = Object.keys(volumes);

/** By their names, what containers do; of jobs' images each comes to an end. */
export const images: Readonly<Record<string, readonly string[]>> = {
  'good:1': [],
  'good:2': [],
  'quick:1': ['start=0s', 'stop=0s'],
  'slow:1': ['start=4s', 'stop=5s'],
  'bad:1': ['exit=1', 'after=300ms'],
  'ends:1': ['exit=0', 'after=2s'],
  'late:1': ['exit=1', 'after=9s'],
  'gone:1': ['rejected=no_such_image'],
  'ill:1': ['unhealthy=3s'],
  'hangs:1': ['hangs'],
  'stuck:1': ['stuck'],
};
/** The same once everything works. */
export const mended: readonly string[] = ['start=100ms', 'stop=100ms'];
export const jobPrefix = 'job-';

type Draw = (dice: Dice) => readonly string[];

const of =
  (key: string, ...values: readonly string[]): Draw =>
  (dice) => [`${key}=${dice.pick(values)}`];

/** Of every service. */
const common: readonly Draw[] = [
  of('restart', 'any', 'any', 'on-failure', 'none'),
  of('delay', '0s', '1s', '3s', '8s'),
  of('max-attempts', '0', '1', '3'),
  (dice) => [`max-attempts=${1 + dice.below(3)}`, `window=${dice.pick(['2s', '20s'])}`],
  of(
    'constraint',
    'none',
    'node.labels.zone==east',
    'node.labels.zone!=east',
    'node.role==worker',
    'node.role==manager',
    'node.hostname!=a',
    'node.id==b',
    'node.ip==10.0.1.0/24',
    'node.platform.arch==x86_64',
    'engine.labels.tier!=gold',
    'node.labels.nowhere==here',
  ),
  of('cpus', '0.5', '1', '3'),
  of('memory', '512', '3000'),
  of('gpu', '1', '2'),
  of('platform', 'linux/amd64', 'linux/arm64'),
  (dice) => ['network=none', ...dice.some(networkNames, dice.below(3)).map((n) => `network=${n}`)],
  (dice) => ['publish=none', `publish=${dice.pick(published)}`],
  of('publish', 'none'),
  of('endpoint-mode', 'dnsrr', 'vip'),
  (dice) => ['secret=none', `secret=${dice.pick(fileNames)}`],
  (dice) => ['config=none', `config=${dice.pick(fileNames)}`],
  of('stop-grace', '1s', '2m'),
  (dice) => [`cluster-volume=${dice.pick(volumeNames)}:/data${dice.pick(['', '', ':ro'])}`],
  of('cluster-volume', 'none'),
  of('privileged', 'true', 'true', 'false'),
  of('device', '/dev/fuse', '/dev/null:/dev/some:rw', 'none'),
];
const published = [
  'ingress::80',
  'ingress:8080:80',
  'ingress:8081:80',
  'host:9090:90',
  'host:9091:90',
];
const spread: readonly Draw[] = [
  of('spread', 'none', 'node.labels.zone'),
  () => ['spread=none', 'spread=node.labels.zone', 'spread=node.labels.rack'],
  of('max-per-node', '0', '1', '2'),
];
const updates: readonly Draw[] = [
  of('parallelism', '0', '1', '1', '2', '3'),
  of('update-delay', '0s', '500ms', '4s'),
  of('monitor', '0s', '1s', '10s'),
  of('failure-action', 'pause', 'continue', 'rollback', 'rollback'),
  of('max-failure-ratio', '0', '0.3', '1'),
  of('order', 'stop-first', 'start-first', 'start-first'),
  of('rollback-parallelism', '0', '1', '2'),
  of('rollback-order', 'stop-first', 'start-first'),
  of('rollback-failure-action', 'pause', 'continue'),
  of('rollback-monitor', '0s', '2s'),
  of('rollback-delay', '0s', '1s'),
];
const schedules: readonly Draw[] = [
  of('schedule', '*_*_*_*_*', '*/20_*_*_*_*_*', '*/3_*_*_*_*'),
  of('overlap', 'allow', 'forbid', 'replace'),
  of('missed-run', 'skip', 'run-once'),
  of('runs', '0', '1', '3'),
  of('time-zone', 'UTC', 'Europe/Berlin', 'Asia/Kolkata'),
];
const counts: readonly Draw[] = [
  (dice) => {
    const atOnce = 1 + dice.below(3);
    return [`completions=${dice.below(6)}`, `max-concurrent=${atOnce}`];
  },
];

const own: Readonly<Record<Kind, readonly Draw[]>> = {
  replicated: [
    ...spread,
    ...updates,
    ownVolumes,
    autoscale,
    (dice) => [`replicas=${dice.below(8)}`],
  ],
  global: updates,
  job: [...spread, ...counts],
  'global-job': [],
  cron: [...counts, ...schedules],
  'global-cron': schedules,
};

function autoscale(dice: Dice): readonly string[] {
  const min = 1 + dice.below(3);
  const bounds = `min=${min},max=${min + dice.below(8)}`;
  const targets = ['cpu=50%', 'cpu=50%', 'requests=10/s,metrics=8080'];
  return [`autoscale=${bounds},${dice.pick(targets)},window=${dice.pick(['10s', '1m', '5m'])}`];
}

function ownVolumes(dice: Dice): readonly string[] {
  const source = dice.pick(['data-{{.Task.Slot}}', 'shared']);
  return [`volume=${source}:/data`, `follow=${dice.pick(['prefer', 'require', 'ignore'])}`];
}

/** What makes the mode: said first, at creation. */
const modeWords: Readonly<Record<Kind, readonly string[]>> = {
  replicated: [],
  global: ['mode=global'],
  job: ['mode=replicated-job'],
  'global-job': ['mode=global-job'],
  cron: ['mode=replicated-job', 'schedule=*_*_*_*_*'],
  'global-cron': ['mode=global-job', 'schedule=*_*_*_*_*'],
};

export function imageWord(dice: Dice, name: string): string {
  const image = dice.chance(0.5) ? dice.pick(['good:1', 'good:2']) : dice.pick(Object.keys(images));
  return `image=${isJob(name) ? jobPrefix : ''}${image}`;
}

function isJob(name: string): boolean {
  return !['replicated', 'global'].includes(kinds[name] ?? '');
}

export function creationWords(dice: Dice, name: string): string[] {
  const kind = kinds[name] ?? 'replicated';
  const first = kind === 'replicated' ? [`replicas=${1 + dice.below(6)}`] : [];
  return [...modeWords[kind], ...first, imageWord(dice, name), ...someWords(dice, name, 6)];
}

/** Up to `most` options; of one that is named twice the last word counts. */
export function someWords(dice: Dice, name: string, most: number): string[] {
  const all = [...common, ...own[kinds[name] ?? 'replicated'], dependencies(name)];
  const draws = dice.some(all, 1 + dice.below(most));
  return draws.flatMap((draw) => [...draw(dice)]);
}

function dependencies(name: string): Draw {
  return (dice) => {
    const others = serviceNames.filter((other) => other !== name);
    const some = dice.some(others, 1 + dice.below(2));
    const conditions = ['started', 'healthy', 'completed'];
    return [`depends-on=${some.map((other) => `${other}=${dice.pick(conditions)}`).join(',')}`];
  };
}
