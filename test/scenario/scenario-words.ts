/** What the words of a scenario's commands stand for. */
import { allowDevicesLabel, allowPrivilegedLabel, type TaskChange } from '../../types/index.ts';
import type { LoadOfService } from './sim-load.ts';
import type { Weather } from './sim-link.ts';
import type { SimNodeOptions } from './sim-objects.ts';
import { simDriver } from './sim-storage.ts';
import { plainBehaviour, type Behaviour } from './sim-worker.ts';
import { duration, wrong } from './spec.ts';

/** `exit=1 after=2s start=100ms stop=1s rejected=reason hangs stuck unhealthy=5s` */
export function behaviour(words: readonly string[]): Behaviour {
  let made: Behaviour = plainBehaviour;
  for (const word of words) {
    const [key, value = ''] = word.split('=');
    if (key === 'exit') made = { exitAfterMs: 0, ...made, exitCode: Number(value) };
    else if (key === 'after') made = { ...made, exitAfterMs: duration(value) };
    else if (key === 'start') made = { ...made, startMs: duration(value) };
    else if (key === 'stop') made = { ...made, stopMs: duration(value) };
    else if (key === 'rejected') made = { ...made, rejected: value.replaceAll('_', ' ') };
    else if (key === 'hangs') made = { ...made, hangs: true };
    else if (key === 'stuck') made = { ...made, stuck: true };
    else if (key === 'unhealthy') made = { ...made, unhealthyMs: duration(value) };
    else throw wrong(`"${word}" says nothing of an image`);
  }
  return made;
}

/** `a b cpus=4 memory=8192 gpu=2 gpus=g0,g1 role=manager arch=arm64 ip=10.0.0.2 engine.tier=x zone=east` */
export function nodeOptions(words: readonly string[]): {
  readonly ids: readonly string[];
  readonly options: SimNodeOptions;
} {
  const pairs = Object.fromEntries(
    words.filter((word) => word.includes('=')).map((word) => word.split('=') as [string, string]),
  );
  const { cpus, memory, gpu, gpus, role, arch, ip, csi, ...rest } = pairs;
  const isEngine = (key: string) => key.startsWith('engine.');
  const generic = gpus === undefined ? gpu && Number(gpu) : gpus.split(',');
  return {
    ids: words.filter((word) => !word.includes('=')),
    options: {
      labels: Object.fromEntries(Object.entries(rest).filter(([key]) => !isEngine(key))),
      engineLabels: Object.fromEntries(
        Object.entries(rest).flatMap(([key, value]) =>
          isEngine(key) ? [[key.slice('engine.'.length), value]] : [],
        ),
      ),
      ...(cpus === undefined ? {} : { nanoCpus: Number(cpus) * 1e9 }),
      ...(memory === undefined ? {} : { memoryBytes: Number(memory) * 2 ** 20 }),
      ...(generic === undefined || generic === ''
        ? {}
        : { generic: { kind: 'gpu', value: generic } }),
      ...(role === 'manager' ? { role } : {}),
      ...(csi === simDriver ? { hasArray: true } : {}),
      ...(arch === undefined ? {} : { architecture: arch }),
      ...(ip === undefined ? {} : { address: ip }),
    },
  };
}

/** `loss=0.1 double=0.1 late=2s` */
export function weather(words: readonly string[]): Weather {
  const {
    loss = '0',
    double = '0',
    late = '0s',
  } = Object.fromEntries(words.map((word) => word.split('=') as [string, string]));
  return { loss: Number(loss), double: Number(double), lateMs: duration(late) };
}

/** `3 most=1`, `unknown`, `broken`; undefined where nodes say nothing. */
export function load(
  what: 'cores' | 'requests',
  [amount = '', most = '']: readonly string[],
): LoadOfService | undefined {
  if (amount === 'unknown') return undefined;
  if (amount === 'broken') return { problem: '/metrics answers HTTP 404' };
  const limit = most.startsWith('most=') ? { most: Number(most.slice('most='.length)) } : {};
  return { [what]: Number(amount), ...limit };
}

/** `privileged`, `devices`, `none`: as labels of the swarm. */
export function allowLabels(word: string): Readonly<Record<string, string>> {
  return {
    [allowPrivilegedLabel]: String(word === 'privileged'),
    [allowDevicesLabel]: String(word === 'devices'),
  };
}

export function placesOf({ change, from, to, reason }: TaskChange): string {
  if (change === 'wait') return `waits: ${reason}`;
  if (change === 'replace') return `${from} to ${to}`;
  return change === 'stop' ? `stops on ${from}` : `new on ${to}`;
}

/** The time of day, in UTC. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}
