/** Which flags of `docker run` and `docker create` a script passes: read from the script itself. */

const shorts: Readonly<Record<string, string>> = {
  a: 'attach',
  c: 'cpu-shares',
  d: 'detach',
  e: 'env',
  h: 'hostname',
  i: 'interactive',
  l: 'label',
  m: 'memory',
  p: 'publish',
  P: 'publish-all',
  q: 'quiet',
  t: 'tty',
  u: 'user',
  v: 'volume',
  w: 'workdir',
};

/** Those that no value follows. */
const lone: ReadonlySet<string> = new Set(
  (
    'detach disable-content-trust init interactive no-healthcheck oom-kill-disable privileged ' +
    'publish-all quiet read-only rm sig-proxy tty'
  ).split(' '),
);

/** With their dashes. Throws for a letter that stands for no flag. */
export function flagsPassed(script: string, verb: 'run' | 'create'): ReadonlySet<string> {
  const passed = new Set<string>();
  const text = script.replaceAll('\\\n', ' ');
  for (const { 0: start, index } of text.matchAll(
    new RegExp(`(?:docker|\\$DOCKER) ${verb} `, 'g'),
  )) {
    const words = text.slice(index + start.length).match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
    for (let at = 0; words[at]?.startsWith('-') === true; at++) {
      const names = namesIn(words[at] ?? '');
      for (const name of names) passed.add(`--${name}`);
      const isWhole = /^(--[\w-]+|-\w+)$/.test(words[at] ?? '');
      if (isWhole && !lone.has(names.at(-1) ?? '')) at++;
    }
  }
  return passed;
}

/** One for a long flag; for a word of letters, one for each. */
function namesIn(word: string): readonly string[] {
  if (word.startsWith('--')) return [word.slice(2).split('=', 1)[0] ?? ''];
  return word
    .slice(1)
    .split('')
    .map((letter) => {
      const name = shorts[letter];
      if (name === undefined) throw new Error(`-${letter} of ${word} stands for no flag`);
      return name;
    });
}
