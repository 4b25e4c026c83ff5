/**
 * Decides which containers share a shim process. A shim ends when its last container is deleted, so
 * a container must never be put into a group that is about to become empty.
 */
interface Group {
  creating: number;
  members: number;
  /** Resolved each time that a creation in this group ends. */
  settled: PromiseWithResolvers<void>;
}

export interface ShimTicket {
  readonly group: string;
  /** The container's task has been created, or has failed to be. */
  settle(created: boolean): void;
}

export class ShimGroups {
  readonly #sizeMax: number;
  readonly #nextName: () => string;
  readonly #groups = new Map<string, Group>();

  constructor(options: { readonly sizeMax: number; readonly nextName: () => string }) {
    this.#sizeMax = options.sizeMax;
    this.#nextName = options.nextName;
  }

  join(): ShimTicket {
    let name = [...this.#groups].find(
      ([, group]) => group.creating + group.members < this.#sizeMax,
    )?.[0];
    if (name === undefined) name = this.#nextName();
    const group = this.#group(name);
    group.creating++;
    const settle = (created: boolean) => {
      group.creating--;
      if (created) group.members++;
      const { resolve } = group.settled;
      group.settled = Promise.withResolvers<void>();
      resolve();
      this.#retire(name, group);
    };
    return { group: name, settle };
  }

  /** A container found running after a restart. */
  adopt(name: string): void {
    this.#group(name).members++;
  }

  /** Called before a task is deleted; resolves when its shim may go, should it be the last one. */
  async leave(name: string): Promise<void> {
    const group = this.#groups.get(name);
    if (group === undefined) return;
    while (group.members === 1 && group.creating > 0) await group.settled.promise;
    group.members--;
    this.#retire(name, group);
  }

  #group(name: string): Group {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const group = { creating: 0, members: 0, settled: Promise.withResolvers<void>() };
    this.#groups.set(name, group);
    return group;
  }

  #retire(name: string, group: Group): void {
    if (group.creating === 0 && group.members === 0) this.#groups.delete(name);
  }
}
