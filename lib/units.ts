/** Units as users write them (Go's durations, sizes, CPU shares, shell words), and times in words. */

const unitsMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
};

/** `1h30m`, `250ms`, `0`: milliseconds. Throws in the words of Go's time package. */
export function parseDurationMs(text: string): number {
  const [, sign = '', rest = ''] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  if (rest === '0') return 0;
  const parts = [...rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== rest) {
    const missing = /^[\d.]+$/.test(rest) ? 'missing unit in duration' : 'invalid duration';
    throw new Error(`time: ${missing} ${JSON.stringify(text)}`);
  }
  const ms = parts.reduce((sum, [, number, unit = '']) => {
    return sum + Number(number) * (unitsMs[unit] ?? 0);
  }, 0);
  return sign === '-' ? -ms : ms;
}

/** `512m`, `1.5g`, `64KiB`, `1000`: bytes; units are powers of 1024, as Docker reads memory. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text.trim());
  if (match === null) throw new Error(`invalid size: '${text}'`);
  const [, number = '', prefix = ''] = match;
  const power = ['', 'k', 'm', 'g', 't', 'p'].indexOf(prefix.toLowerCase());
  return Math.floor(Number(number) * 1024 ** power);
}

/** `0.5` or `1.25`: billionths. */
export function parseDecimalNano(text: string): number {
  if (!/^(\d+\.?\d*|\.\d+)$/.test(text))
    throw new Error(`failed to parse ${text} as a rational number`);
  const nano = Number(text) * 1e9;
  const rounded = Math.round(nano);
  if (Math.abs(nano - rounded) > 1e-3) throw new Error('value is too precise');
  return rounded;
}

/** Words as a shell would split them: quotes group, a backslash takes what follows as it is. */
export function parseShellWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let i = 0; i < line.length; i++) {
    const char = line[i] ?? '';
    if (char === '\\' && quote !== "'") {
      i++;
      if (i >= line.length) throw new Error('EOF found after escape character');
      word = (word ?? '') + (line[i] ?? '');
    } else if (quote !== '') {
      if (char === quote) quote = '';
      else word = (word ?? '') + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== '') throw new Error('EOF found when expecting closing quote');
  if (word !== undefined) words.push(word);
  return words;
}

/** "2 minutes", "About an hour", "3 weeks". */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.floor(ms / 3_600_000 + 0.5);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(ms / 3_600_000 / 24 / 365)} years`;
}
