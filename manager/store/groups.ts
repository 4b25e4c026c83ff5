/** Objects by id in groups, and a group no longer than it has members. */
export class Groups<T extends { readonly id: string }> {
  readonly #groups = new Map<string, Map<string, T>>();

  of(key: string): ReadonlyMap<string, T> | undefined {
    return this.#groups.get(key);
  }

  keys(): Iterable<string> {
    return this.#groups.keys();
  }

  set(key: string, object: T): void {
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, new Map([[object.id, object]]));
    else group.set(object.id, object);
  }

  delete(key: string, id: string): void {
    const group = this.#groups.get(key);
    group?.delete(id);
    if (group?.size === 0) this.#groups.delete(key);
  }

  clear(): void {
    this.#groups.clear();
  }
}
