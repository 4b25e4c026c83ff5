/** How fast a service is measured and scaled: all of it follows from its window. */
interface Pace {
  /** Between two measurements. */
  readonly sampleMs: number;
  /** Between a change of the number of replicas and the next growth. */
  readonly growMs: number;
  /** Between a change of the number of replicas and the next shrinking. */
  readonly shrinkMs: number;
  /** What a replica uses to start says nothing of its load. */
  readonly warmUpMs: number;
  /** What was measured before that is no longer known. */
  readonly staleMs: number;
  /** What holds or limits a service for so long is written down. */
  readonly patienceMs: number;
}

export function paceOf({ windowMs }: { readonly windowMs: number }): Pace {
  const sampleMs = within(1_000, windowMs / 20, 2_500);
  const shrinkMs = within(1_000, windowMs / 4, 15_000);
  // Rates are of two samples' time. A replica counts once no rate of another is of the time before
  // it helped: to count what that one carried then together with what this one carries now would
  // have the service grow too far. Nothing is gained by a step before the last one is seen to help.
  const settledMs = 2 * sampleMs;
  return {
    sampleMs,
    growMs: settledMs,
    shrinkMs,
    warmUpMs: settledMs,
    staleMs: 5 * sampleMs + 1_000,
    patienceMs: 2 * shrinkMs,
  };
}

function within(least: number, wished: number, most: number): number {
  return Math.max(least, Math.min(most, wished));
}
