/** Which flag of which verb is shown to work by which test: what docs/parity.md is made of. */

export interface Coverage {
  /** As typed after `docker`, such as "service create". */
  readonly verb: string;
  /** With its dashes, such as "--env"; empty for the verb itself. */
  readonly flag: string;
  /** Supported, as this test shows; or refused, in this sentence. */
  readonly test?: string;
  readonly refusal?: string;
}

const entries: Coverage[] = [];

export function coverage(): readonly Coverage[] {
  return entries;
}

/** Notes that the test of this title shows the flags of the verb; without flags, the verb. */
export function shows(title: string, verb: string, ...flags: readonly string[]): void {
  for (const flag of flags.length === 0 ? [''] : flags) entries.push({ verb, flag, test: title });
}

export function refuses(verb: string, flag: string, refusal: string): void {
  entries.push({ verb, flag, refusal });
}
