/** Reads the WWW-Authenticate header (RFC 9110): `Bearer realm="…",service="…",scope="…"`. */

export interface Challenge {
  /** In lower case: "bearer", "basic". */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Several challenges may stand in one header; what is not understood is left out. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  // Either `name=value` (quoted or not), or a bare word: the scheme of the next challenge.
  const part =
    /([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?(?:\s*,\s*|\s+|$)/y;
  for (
    let match = part.exec(header);
    match !== null && match[0] !== '';
    match = part.exec(header)
  ) {
    const [, name = '', quoted, plain] = match;
    const value = quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1');
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: {} });
    else {
      const current = challenges.at(-1);
      if (current !== undefined) current.parameters[name.toLowerCase()] = value;
    }
  }
  return challenges;
}
