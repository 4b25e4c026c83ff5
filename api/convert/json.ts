/** The shape of what is written to clients, and Go's rules for leaving things out. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

export type JsonObject = { readonly [key: string]: Json | undefined };

/** Go's `omitempty`: what is empty is not written. */
export function omitEmpty<T extends string | number | boolean>(value: T): T | undefined {
  return value === '' || value === 0 || value === false ? undefined : value;
}
