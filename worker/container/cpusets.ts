/** Lists of CPUs and memory nodes, such as "0-2,4": only what the host has can be asked for. */
import { SwarmError } from '../../lib/errors.ts';
import type { HostDocument } from '../../types/index.ts';
import type { CpuLists } from '../runtime/controls.ts';

/** Numbers above are none that Linux gives. */
const numberMax = 8192;

/** Throws `invalid-argument`, in Docker's words. */
export function checkCpusets(
  { cpusetCpus, cpusetMems }: Pick<HostDocument, 'cpusetCpus' | 'cpusetMems'>,
  available: CpuLists,
): void {
  check(cpusetCpus, available.cpus, 'cpus', 'CPUs');
  check(cpusetMems, available.mems, 'mems', 'memory nodes');
}

function check(asked: string, available: string, list: string, noun: string): void {
  if (asked === '') return;
  const wanted = numbersIn(asked);
  if (wanted === undefined) {
    throw new SwarmError(
      'invalid-argument',
      `Invalid value ${asked} for cpuset ${list}: invalid format: ${asked}`,
    );
  }
  const there = numbersIn(available) ?? new Set();
  if ([...wanted].every((number) => there.has(number))) return;
  throw new SwarmError(
    'invalid-argument',
    `Requested ${noun} are not available - requested ${asked}, available: ${available}`,
  );
}

/** Undefined where it is no such list. */
function numbersIn(list: string): ReadonlySet<number> | undefined {
  const numbers = new Set<number>();
  for (const part of list.split(',')) {
    const [, first = '', last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (first === '' || to < from || to > numberMax) return undefined;
    for (let number = from; number <= to; number++) numbers.add(number);
  }
  return numbers;
}
