/** Shortens what fails: lines are left out for as long as it fails by the same rule. */

/** Tries `fails` at most so often. */
const maxTries = 400;

export async function shrink(
  lines: readonly string[],
  fails: (shorter: readonly string[]) => Promise<boolean>,
): Promise<readonly string[]> {
  let present = lines;
  let tries = 0;
  for (let size = Math.ceil(present.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < present.length;) {
      if (tries++ >= maxTries) return present;
      const shorter = present.toSpliced(from, size);
      if (await fails(shorter)) present = shorter;
      else from += size;
    }
  }
  return present;
}
