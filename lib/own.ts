/**
 * What a document that others wrote has under a name that others chose. A plain look-up also finds
 * what every object inherits: a label called "constructor" would be there, and be a function.
 */
export function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
