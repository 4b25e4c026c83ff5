/** The host's own name servers, as /etc/resolv.conf has them now. */
import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../../../lib/clock.ts';
import { errnoOf, messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { NameServer } from './exchange.ts';
import { askedPort } from './ports.ts';

const lookAgainMs = 2000;
/** Of no file: the next look reads it. */
const unreadable = '';

export class HostServers {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #servers: readonly NameServer[] = [];
  #version: string | undefined;
  #lookedMs = -Infinity;

  constructor(path: string, { clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#path = path;
    this.#clock = clock;
    this.#log = log;
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
      // One that cannot be read for now says nothing against the servers that were known.
      if (errnoOf(error) === 'ENOENT') this.#servers = [];
      else if (this.#version !== unreadable) {
        this.#log.warn("the host's name servers cannot be read", { error: messageOf(error) });
      }
      this.#version = unreadable;
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
