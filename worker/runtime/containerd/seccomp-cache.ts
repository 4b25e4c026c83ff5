/**
 * crun compiles a seccomp profile anew for every container, which is half of what a start costs.
 * The program that it made for the first container of a profile is given to it for the next ones.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../../lib/errors.ts';
import type { OciSpec } from '../oci/spec.ts';

/** crun takes a compiled program from here, and then passes over the profile. */
const annotation = 'run.oci.seccomp_bpf_data';
/** Profiles differ by the capabilities that are asked for, and some bring their own. */
const programsMax = 64;
/** The kernel's instructions for filters are of 8 bytes, and at most 4096. */
const instructionBytes = 8;
const programBytesMax = 4096 * instructionBytes;

export class SeccompCache {
  /** Where the OCI runtime keeps a folder for each container. */
  readonly #stateRoot: string;
  readonly #programs = new Map<string, string>();

  constructor(stateRoot: string) {
    this.#stateRoot = stateRoot;
  }

  /** The specification with the program, where it is known. */
  apply(spec: OciSpec): OciSpec {
    const program = this.#programs.get(keyOf(spec));
    if (spec.linux.seccomp === undefined || program === undefined) return spec;
    return { ...spec, annotations: { ...spec.annotations, [annotation]: program } };
  }

  /** Called when a container has been created: its program is in its state folder. */
  async learn(id: string, spec: OciSpec): Promise<void> {
    const key = keyOf(spec);
    if (spec.linux.seccomp === undefined || this.#programs.has(key)) return;
    if (this.#programs.size >= programsMax) return;
    try {
      const bytes = await readFile(join(this.#stateRoot, id, 'seccomp.bpf'));
      const whole = bytes.length > 0 && bytes.length % instructionBytes === 0;
      if (whole && bytes.length <= programBytesMax) {
        this.#programs.set(key, bytes.toString('base64'));
      }
    } catch (error) {
      // Another version may keep it elsewhere: then each container is compiled for.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}

function keyOf({ linux }: OciSpec): string {
  return JSON.stringify(linux.seccomp);
}
