/** Which capabilities a container's process gets. */
import { SwarmError } from './errors.ts';

/** What Docker gives to every container. */
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** All of Linux 5.9 and later, in the kernel's order. */
export const allCapabilities: readonly string[] = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE ' +
  'NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO ' +
  'SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME ' +
  'SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG ' +
  'WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

/**
 * Docker's rules: ALL in `add` is every capability, ALL in `drop` none but those added by name.
 * Names may lack their CAP_ and be in any case. Throws SwarmError for one that does not exist.
 */
export function capabilitiesOf(add: readonly string[], drop: readonly string[]): readonly string[] {
  const added = add.map(normalize);
  const dropped = new Set(drop.map(normalize));
  const named = added.filter((name) => name !== 'ALL');
  if (dropped.has('ALL')) return inKernelOrder(new Set(named));
  const base = added.includes('ALL') ? allCapabilities : defaultCapabilities;
  return inKernelOrder(new Set([...base, ...named].filter((name) => !dropped.has(name))));
}

/** Throws `invalid-argument`, in Docker's words, for one that does not exist. */
export function checkCapabilities(add: readonly string[], drop: readonly string[]): void {
  for (const [list, names] of [
    ['CapAdd', add],
    ['CapDrop', drop],
  ] as const) {
    try {
      names.forEach(normalize);
    } catch (error) {
      const { code, message } = SwarmError.from(error);
      throw new SwarmError(code, `invalid ${list}: ${message}`, { cause: error });
    }
  }
}

function inKernelOrder(names: ReadonlySet<string>): readonly string[] {
  return allCapabilities.filter((name) => names.has(name));
}

function normalize(name: string): string {
  const upper = name.toUpperCase();
  if (upper === 'ALL' || upper === 'CAP_ALL') return 'ALL';
  const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (!allCapabilities.includes(full)) {
    throw new SwarmError('invalid-argument', `unknown capability: "${full}"`);
  }
  return full;
}
