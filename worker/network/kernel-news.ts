/**
 * What the kernel tells of changes that anybody makes to links, addresses, routes and neighbours:
 * who asks this socket need not look at all of them again and again.
 */
import { closeSync } from 'node:fs';
import { errno, newsSocket, receiveNow, SyscallError } from './syscalls.ts';

/** Numbers of linux/rtnetlink.h. */
const groups = {
  link: 1,
  neighbour: 3,
  address4: 5,
  route4: 7,
  rule4: 8,
  address6: 9,
  route6: 11,
  rule6: 19,
} as const;

/** Shared: that something has come counts, not what. */
const buffer = Buffer.alloc(4096);

export class KernelNews implements Disposable {
  readonly #fd: number;

  private constructor(wanted: readonly (keyof typeof groups)[], isEverywhere = false) {
    this.#fd = newsSocket(
      wanted.map((name) => groups[name]),
      isEverywhere,
    );
  }

  /** Of the thread's present namespace, and of all to which that has given a number. */
  static ofLinksEverywhere(): KernelNews {
    const wanted = ['link', 'address4', 'address6', 'route4', 'route6', 'rule4', 'rule6'] as const;
    return new KernelNews(wanted, true);
  }

  /** Of the thread's present namespace; forwarding entries are neighbours too. */
  static ofNeighbours(): KernelNews {
    return new KernelNews(['neighbour']);
  }

  /** Of the thread's present namespace. */
  static ofAddresses(): KernelNews {
    return new KernelNews(['link', 'address4', 'address6']);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** Whether anything has changed since the last call. */
  heard(): boolean {
    let isHeard = false;
    for (;;) {
      try {
        if (receiveNow(this.#fd, buffer) === undefined) return isHeard;
      } catch (error) {
        // More has changed than the kernel keeps.
        if (!(error instanceof SyscallError && error.errno === errno.noBuffers)) throw error;
      }
      isHeard = true;
    }
  }
}
