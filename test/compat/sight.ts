/** How an option's effect is seen: in what a container prints, in its cgroup, in the service. */
import { strict as assert } from 'node:assert';
import { readFileSync, readlinkSync } from 'node:fs';
import { told } from './probe.ts';

/** What is known of one running task. */
export interface Sight {
  /** What the container printed. */
  readonly output: string;
  /** `docker service inspect`. */
  readonly service: Json;
  /** The machine's pid of the container's process 1. */
  readonly pid: number;
  readonly host: string;
  readonly taskId: string;
}

// oxlint-disable-next-line typescript/no-explicit-any -- documents are compared, not used
export type Json = any;

export interface OptionCase {
  readonly flag: string;
  readonly args: readonly string[];
  readonly seen: (sight: Sight) => void;
  /** Only newer CLIs than Debian's have it. */
  readonly isNew?: boolean;
}

export const has = (key: string, line: string | RegExp) => (sight: Sight) => {
  const lines = told(sight.output, key);
  const found = lines.some((one) => (typeof line === 'string' ? one === line : line.test(one)));
  assert.ok(found, `no '${key}: ${line}' in:\n${sight.output}`);
};
export const container = (sight: Sight): Json => sight.service.Spec.TaskTemplate.ContainerSpec;
export const template = (sight: Sight): Json => sight.service.Spec.TaskTemplate;
export const inspected =
  (read: (sight: Sight) => unknown, expected: unknown) =>
  (sight: Sight): void =>
    assert.deepEqual(read(sight), expected);

/** A limit of the container's cgroup, in whichever version the kernel has. */
export function limit(sight: Sight, controller: string, v1: string, v2: string): string {
  const lines = readFileSync(`/proc/${sight.pid}/cgroup`, 'utf8').split('\n');
  const own = lines.find((line) => line.split(':')[1]?.split(',').includes(controller));
  const file =
    own === undefined
      ? `/sys/fs/cgroup${lines.find((line) => line.startsWith('0::'))?.slice(3)}/${v2}`
      : `/sys/fs/cgroup/${controller}${own.split(':')[2]}/${v1}`;
  return readFileSync(file, 'utf8').trim();
}

export function hasCapability(sight: Sight, bit: number): boolean {
  const [bounding = '0'] = told(sight.output, 'status')
    .filter((line) => line.startsWith('CapBnd'))
    .map((line) => line.split(/\s+/)[1] ?? '0');
  return ((BigInt(`0x${bounding}`) >> BigInt(bit)) & 1n) === 1n;
}

/** Numbers of capabilities. */
export const netAdmin = 12;
export const chown = 0;

export function lacks(key: string, line: RegExp) {
  return (sight: Sight): void => {
    const lines = told(sight.output, key);
    assert.ok(lines.length > 0, `no '${key}:' in:\n${sight.output}`);
    assert.ok(!lines.some((one) => line.test(one)), `'${key}: ${line}' is in:\n${sight.output}`);
  };
}

/** Which network namespace the process is in. */
export function networkOf(pid: number): string {
  return readlinkSync(`/proc/${pid}/ns/net`);
}
