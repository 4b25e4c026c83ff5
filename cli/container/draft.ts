/** A container that flags may still change, as POST /containers/create takes it. */
import { text, type Flag, type FlagValues } from '../command/flags.ts';

export interface EndpointDraft {
  Aliases?: string[];
  MacAddress?: string;
  IPAMConfig?: { IPv4Address?: string; IPv6Address?: string; LinkLocalIPs?: string[] };
  DriverOpts?: Record<string, string>;
  GwPriority?: number;
}

export interface ContainerDraft {
  readonly config: Record<string, unknown>;
  readonly host: Record<string, unknown>;
  readonly endpoints: Map<string, EndpointDraft>;
}

/** One flag of `create` and `run`, and what it does to the container. */
export interface CreateFlag {
  readonly flag: Flag<unknown>;
  apply(draft: ContainerDraft, values: FlagValues): void;
}

/** `apply` is called where the flag was given. */
export function setting<T>(
  flag: Flag<T>,
  apply: (draft: ContainerDraft, value: T) => void,
): CreateFlag {
  return {
    flag,
    apply(draft, values) {
      const value = values.get(flag);
      if (value !== undefined) apply(draft, value);
    },
  };
}

/** The value is HostConfig's field of this name. */
export function host<T>(flag: Flag<T>, field: string): CreateFlag {
  return setting(flag, (draft, value) => (draft.host[field] = value));
}

/** The value is the container's own field of this name. */
export function config<T>(flag: Flag<T>, field: string): CreateFlag {
  return setting(flag, (draft, value) => (draft.config[field] = value));
}

/** `key=value`, many times, as an object. */
export function pairsOf(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entries.map((entry) => {
      const at = entry.indexOf('=');
      return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}

/** A flag with one value in a little language of its own. */
export function parsed<T>(
  name: string,
  help: string,
  parse: (text: string) => T,
  words: { readonly shownDefault?: string; readonly word?: string } = {},
): Flag<T> {
  return { ...text(name, help, words), parse: (given) => parse(given) };
}
