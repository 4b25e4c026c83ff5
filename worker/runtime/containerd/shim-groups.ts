/**
 * Decides which containers share a shim process. A shim ends when its last container is deleted, so
 * a container must never be put into a group that is about to become empty.
 */
interface Group {
  creating: number;
  members: number;
  /** What its shim said when it was started. */
  said: string | undefined;
  /** One of those that are being created starts the shim, and the others wait for it. */
  starting: boolean;
  /** Resolved each time that a creation in this group ends. */
  settled: PromiseWithResolvers<void>;
}

export interface ShimTicket {
  readonly group: string;
  /** What the group's shim said; undefined: this creation starts it. */
  said(): Promise<string | undefined>;
  /** The shim does not listen any more: this creation starts another. */
  lost(): void;
  /** The container's task has been created, or has failed to be. */
  settle(created: boolean, said?: string): void;
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
    let starts = false;
    const said = async () => {
      while (group.said === undefined && group.starting) await group.settled.promise;
      if (group.said === undefined) group.starting = starts = true;
      return group.said;
    };
    const lost = () => {
      group.said = undefined;
      group.starting = starts = true;
    };
    const settle = (created: boolean, said?: string) => {
      group.creating--;
      if (created) group.members++;
      if (created && said !== undefined) group.said = said;
      if (starts) group.starting = false;
      const { resolve } = group.settled;
      group.settled = Promise.withResolvers<void>();
      resolve();
      this.#retire(name, group);
    };
    return { group: name, said, lost, settle };
  }

  /** A container found running after a restart. */
  adopt(name: string, said: string | undefined): void {
    const group = this.#group(name);
    group.members++;
    group.said ??= said;
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
    const group = {
      creating: 0,
      members: 0,
      said: undefined,
      starting: false,
      settled: Promise.withResolvers<void>(),
    };
    this.#groups.set(name, group);
    return group;
  }

  #retire(name: string, group: Group): void {
    if (group.creating === 0 && group.members === 0) this.#groups.delete(name);
  }
}
