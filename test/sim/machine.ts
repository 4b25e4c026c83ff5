/** The replicated state: a map of registers, and a digest of everything that was ever applied. */
import { createHash } from 'node:crypto';

interface Command {
  /** Unique in a run. */
  readonly id: number;
  readonly key: string;
  readonly value: string;
  /** Sent on by a follower: the network may double it, so only the first one counts. */
  readonly forwarded: boolean;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeCommand(command: Command): Uint8Array {
  return encoder.encode(JSON.stringify(command));
}

export function decodeCommand(data: Uint8Array): Command {
  return JSON.parse(decoder.decode(data)) as Command;
}

export class Registers {
  #values = new Map<string, string>();
  #done = new Set<number>();
  digest = '';

  apply(index: number, data: Uint8Array): void {
    this.digest = createHash('sha1').update(`${this.digest}/${index}/`).update(data).digest('hex');
    const { id, key, value } = decodeCommand(data);
    if (this.#done.has(id)) return;
    this.#done.add(id);
    this.#values.set(key, value);
  }

  get(key: string): string {
    return this.#values.get(key) ?? '';
  }

  save(): Uint8Array {
    const { digest } = this;
    return encoder.encode(
      JSON.stringify({ digest, values: [...this.#values], done: [...this.#done] }),
    );
  }

  load(data: Uint8Array): void {
    const saved = JSON.parse(decoder.decode(data)) as {
      digest: string;
      values: [string, string][];
      done: number[];
    };
    this.digest = saved.digest;
    this.#values = new Map(saved.values);
    this.#done = new Set(saved.done);
  }
}
