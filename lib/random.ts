import { randomBytes } from 'node:crypto';

/** Randomness as a port: the system's in the daemon, seeded in tests and in the simulator. */
export interface Random {
  /** In [0, 1). */
  float(): number;
  /** A whole number in [0, below). */
  integer(below: number): number;
  /** A swarm identifier: 25 characters of base 36. */
  id(): string;
}

const idLength = 25;
const alphabet = '0123456789abcdefghijklmnopqrstuvwxyz';
/** The largest multiple of 36 in a byte: bytes from here on would make some characters likelier. */
const unbiased = 252;

export const systemRandom: Random = {
  float: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
  integer: (below) => Math.floor(systemRandom.float() * below),
  id() {
    let text = '';
    while (text.length < idLength) {
      for (const byte of randomBytes(32)) {
        if (byte < unbiased && text.length < idLength) text += alphabet[byte % 36];
      }
    }
    return text;
  },
};

/** A seeded generator (mulberry32): the same seed gives the same sequence, everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const float = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (below: number) => Math.floor(float() * below);
  return {
    float,
    integer,
    id: () => Array.from({ length: idLength }, () => alphabet[integer(36)]).join(''),
  };
}
