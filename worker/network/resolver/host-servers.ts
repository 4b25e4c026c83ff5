/** The host's own name servers, as /etc/resolv.conf has them now. */
import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../../../lib/clock.ts';
import { errnoOf } from '../../../lib/errors.ts';
import type { NameServer } from './exchange.ts';
import { askedPort } from './ports.ts';

const lookAgainMs = 2000;

export class HostServers {
  readonly #path: string;
  readonly #clock: Clock;
  #servers: readonly NameServer[] = [];
  #version = '';
  #lookedMs = -Infinity;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** Read again when the file has changed; looked at no more than every two seconds. */
  get(): readonly NameServer[] {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lookedMs < lookAgainMs) return this.#servers;
    this.#lookedMs = nowMs;
    try {
      const { mtimeMs, ino, size } = statSync(this.#path);
      const version = `${mtimeMs} ${ino} ${size}`;
      if (version === this.#version) return this.#servers;
      this.#version = version;
      this.#servers = parseResolvConf(readFileSync(this.#path, 'utf8'));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      this.#version = '';
      this.#servers = [];
    }
    return this.#servers;
  }
}

function parseResolvConf(text: string): readonly NameServer[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .flatMap(([word, address]) =>
      word === 'nameserver' && address !== undefined ? [{ address, port: askedPort }] : [],
    );
}
