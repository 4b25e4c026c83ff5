/** Seccomp profiles of users, in Docker's form, for `--security-opt seccomp=FILE`. Pure. */
import { SwarmError } from '../../../lib/errors.ts';
import type { Seccomp, SeccompRule } from './seccomp.ts';

/** When a rule holds: all of what is given. */
interface Condition {
  readonly arches?: readonly string[];
  readonly caps?: readonly string[];
  /** "4.8": this kernel, or a newer one. */
  readonly minKernel?: string;
}

interface FileRule extends Omit<SeccompRule, 'names'> {
  readonly name?: string;
  readonly names?: readonly string[];
  readonly includes?: Condition;
  readonly excludes?: Condition;
}

export interface SeccompFile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly archMap?: readonly {
    readonly architecture: string;
    readonly subArchitectures?: readonly string[];
  }[];
  readonly flags?: readonly string[];
  readonly syscalls: readonly FileRule[];
}

interface Machine {
  /** Those that the process may ever have. */
  readonly capabilities: readonly string[];
  /** Node's name: x64, arm64 … */
  readonly architecture: string;
  /** As the kernel tells it: "6.1.0-18-amd64". */
  readonly kernel: string;
}

/** By Node's names: as profiles' conditions have them, and as their maps of architectures do. */
const architectures: Readonly<Record<string, readonly [string, string]>> = {
  x64: ['amd64', 'SCMP_ARCH_X86_64'],
  arm64: ['arm64', 'SCMP_ARCH_AARCH64'],
  ppc64: ['ppc64le', 'SCMP_ARCH_PPC64LE'],
  s390x: ['s390x', 'SCMP_ARCH_S390X'],
  riscv64: ['riscv64', 'SCMP_ARCH_RISCV64'],
};

const action = /^SCMP_ACT_(?:KILL|KILL_PROCESS|KILL_THREAD|TRAP|ERRNO|TRACE|ALLOW|LOG)$/;
const operator = /^SCMP_CMP_(?:NE|LT|LE|EQ|GE|GT|MASKED_EQ)$/;

/** Throws `invalid-argument` in a sentence that says where the profile is wrong. */
export function parseSeccompFile(text: string): SeccompFile {
  const document = parsed(text);
  if (!isRecord(document)) throw invalid('it is no JSON object');
  const { defaultAction, architectures: own, archMap, syscalls = [] } = document;
  if ('listenerPath' in document) throw invalid('listenerPath is not supported');
  if (!isAction(defaultAction))
    throw invalid(`its defaultAction is ${JSON.stringify(defaultAction)}`);
  if (hasAny(own) && hasAny(archMap)) {
    throw invalid("both 'architectures' and 'archMap' are specified, use one of them");
  }
  if (!Array.isArray(syscalls)) throw invalid('its syscalls are no list');
  for (const [at, rule] of (syscalls as unknown[]).entries()) {
    const why = whyBadRule(rule);
    if (why !== undefined) throw invalid(`syscalls[${at}]: ${why}`);
  }
  return { ...document, syscalls } as unknown as SeccompFile;
}

function whyBadRule(rule: unknown): string | undefined {
  if (!isRecord(rule)) return 'it is no object';
  if (!isAction(rule['action'])) return `its action is ${JSON.stringify(rule['action'])}`;
  const { name, names, args } = rule;
  if (typeof name === 'string' && name !== '' && hasAny(names)) {
    return "both 'name' and 'names' are specified, use one of them";
  }
  for (const arg of Array.isArray(args) ? (args as unknown[]) : []) {
    if (!isRecord(arg)) return 'an argument is no object';
    const numbers = [arg['index'], arg['value'] ?? 0, arg['valueTwo'] ?? 0];
    if (!numbers.every(Number.isSafeInteger)) return 'an argument has no number, or one too large';
    if (!operator.test(String(arg['op'])))
      return `an argument's op is ${JSON.stringify(arg['op'])}`;
  }
  return undefined;
}

/** What of it holds for this process on this machine. */
export function seccompOf(file: SeccompFile, machine: Machine): Seccomp {
  const [arch = '', seccompArch = ''] = architectures[machine.architecture] ?? [];
  const mapped = file.archMap?.find(({ architecture }) => architecture === seccompArch);
  const own = file.architectures ?? [];
  const all =
    own.length > 0 || mapped === undefined
      ? own
      : [mapped.architecture, ...(mapped.subArchitectures ?? [])];
  return {
    defaultAction: file.defaultAction,
    ...(file.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: file.defaultErrnoRet }),
    architectures: all,
    ...(file.flags?.length ? { flags: file.flags } : {}),
    syscalls: file.syscalls
      .filter(({ includes, excludes }) => {
        const isExcluded = excludes !== undefined && holdsAny(excludes, arch, machine);
        return !isExcluded && holdsAll(includes ?? {}, arch, machine);
      })
      .map(({ name = '', names = [], action: does, errnoRet, args }) => ({
        names: name === '' ? names : [name],
        action: does,
        ...(errnoRet === undefined ? {} : { errnoRet }),
        ...(args?.length ? { args } : {}),
      })),
  };
}

function holdsAll({ arches, caps, minKernel }: Condition, arch: string, machine: Machine): boolean {
  return (
    (!arches?.length || arches.includes(arch)) &&
    (caps ?? []).every((cap) => machine.capabilities.includes(cap)) &&
    (!minKernel || isKernel(machine.kernel, minKernel))
  );
}

function holdsAny({ arches, caps, minKernel }: Condition, arch: string, machine: Machine): boolean {
  return (
    arches?.includes(arch) === true ||
    (caps ?? []).some((cap) => machine.capabilities.includes(cap)) ||
    (!!minKernel && isKernel(machine.kernel, minKernel))
  );
}

function isKernel(kernel: string, wanted: string): boolean {
  const [major = 0, minor = 0] = kernel.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function isAction(value: unknown): boolean {
  return typeof value === 'string' && action.test(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasAny(list: unknown): boolean {
  return Array.isArray(list) && list.length > 0;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw invalid(error.message);
  }
}

function invalid(reason: string): SwarmError {
  return new SwarmError('invalid-argument', `the seccomp profile cannot be used: ${reason}`);
}
