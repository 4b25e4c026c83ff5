/** Undoes what Node has no code for, by the programs that a host has for it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf, SwarmError } from '../../../lib/errors.ts';

/** With the package that brings it. An archive says how much memory it takes to be unpacked. */
const programs = {
  bzip2: { argv: ['bzip2', '-d', '-c'], package: 'bzip2' },
  xz: { argv: ['xz', '-d', '-c', '--memlimit-decompress=512MiB'], package: 'xz-utils' },
} as const;

export type ProgramName = keyof typeof programs;

const maxComplaintBytes = 1024;

export function isProgramName(name: string | undefined): name is ProgramName {
  return name !== undefined && Object.hasOwn(programs, name);
}

/** Throws `invalid-argument` for what is damaged, and what `source` throws. */
export async function* throughProgram(
  name: ProgramName,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const child = await started(name);
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text.slice(0, Math.max(0, maxComplaintBytes - complaint.length));
  });
  const closed = once(child, 'close') as Promise<[number | null]>;
  let fault: unknown;
  const fed = pipeline(Readable.from(source), child.stdin).catch((thrown: unknown) => {
    fault = thrown;
    // Where the program has ended, its own complaint says why; where the source has, it waits.
    if (child.exitCode === null) child.stdin.destroy();
  });
  try {
    yield* child.stdout as AsyncIterable<Uint8Array>;
    const [code] = await closed;
    await fed;
    if (code === 0 && fault === undefined) return;
    const [first = ''] = complaint.trim().split('\n');
    if (first === '' && fault !== undefined) throw fault;
    const message = `the archive cannot be read: ${first || `${name} ended with status ${code}`}`;
    throw new SwarmError('invalid-argument', message, { cause: fault });
  } finally {
    child.kill('SIGKILL');
    await closed;
    await fed;
  }
}

async function started(name: ProgramName) {
  const { argv, package: brings } = programs[name];
  const child = spawn(argv[0], argv.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
  try {
    await once(child, 'spawn');
  } catch (cause) {
    const message =
      `archives compressed with ${name} need the program ${name}, which this node cannot run ` +
      `(${messageOf(cause)}): install the package ${brings}, or use gzip or zstd`;
    throw new SwarmError('failed-precondition', message, { cause });
  }
  return child;
}
