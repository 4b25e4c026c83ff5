/** Lists come in the order of ids, as Docker's do: the same list twice is the same text twice. */
export function byId<T extends { readonly id: string }>(objects: readonly T[]): T[] {
  return objects.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}
