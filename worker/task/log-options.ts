/** The bounds of a container's log, as `--log-opt` has them; the callers say it in their words. */
const mebibyte = 1024 * 1024;
const units: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: mebibyte,
  g: 1024 * mebibyte,
};

/** Docker's for its driver `local`; json-file, unbounded there, is bounded here as well. */
export const defaultLogBounds = { maxSizeBytes: 20 * mebibyte, maxFiles: 5 };

/** `10m`; -1 is no bound. Undefined for what is no size. */
export function parseLogSize(text: string): number | undefined {
  if (text === '-1') return Number.MAX_SAFE_INTEGER;
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmg]?)i?b?$/i.exec(text.trim()) ?? [];
  const size = Number(number) * (units[unit.toLowerCase()] ?? Number.NaN);
  return size >= 1 ? Math.floor(size) : undefined;
}

/** Undefined for what is no number of files. */
export function parseLogFiles(text: string): number | undefined {
  const count = Number(text);
  return Number.isSafeInteger(count) && count >= 1 ? count : undefined;
}
