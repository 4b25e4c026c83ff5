/** What this host is: read once at the start from the kernel and /etc/os-release; not its name. */
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, hostname, release, totalmem } from 'node:os';
import { errnoOf } from '../lib/errors.ts';

export interface HostFacts {
  readonly kernelVersion: string;
  readonly operatingSystem: string;
  /** As `uname -m` has it, which is what Docker reports: "x86_64", "aarch64". */
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
}

const machineNames: Readonly<Record<string, string>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
  arm: 'armv7l',
  ia32: 'i386',
  loong64: 'loongarch64',
};

export function readHostFacts(): HostFacts {
  return {
    kernelVersion: release(),
    operatingSystem: prettyName(),
    architecture: machineNames[arch()] ?? arch(),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
  };
}

/** The name that the daemon was given, or the host's at present: a host may be renamed. */
export function hostnameOf(given: { readonly hostname?: string }): string {
  return given.hostname ?? hostname();
}

function prettyName(): string {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1] ?? 'Linux';
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'Linux';
    throw error;
  }
}
