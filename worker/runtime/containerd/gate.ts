/**
 * crun holds a created process at a pipe in the container's state folder until somebody writes to
 * it. To start its command for just that takes a fifth of the CPU of all that a container costs, so
 * we write to the pipe ourselves. containerd's shim does not hear of it, and goes on to say that
 * the container is created: that it runs is told by a file of ours, which is the pipe itself.
 */
import { constants } from 'node:fs';
import { access, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../../lib/errors.ts';

const gateName = 'exec.fifo';

/**
 * False where the OCI runtime has to do it: another version of it may hold the process otherwise.
 * A daemon that dies in the middle leaves a container that counts as created, and is made again.
 */
export async function openGate(stateFolder: string, mark: string): Promise<boolean> {
  const gate = join(stateFolder, gateName);
  try {
    await using pipe = await open(gate, constants.O_WRONLY | constants.O_NONBLOCK);
    await pipe.write(Buffer.alloc(1));
    await rename(gate, mark);
    return true;
  } catch (error) {
    // ENXIO and EPIPE: nobody waits at the other end, the process has ended.
    if (['ENOENT', 'ENXIO', 'EPIPE'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

/** Whether a container that counts as created has been let go. */
export async function isLetGo(mark: string): Promise<boolean> {
  try {
    await access(mark);
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return false;
  }
}
