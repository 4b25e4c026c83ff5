/** How fast a service is measured and scaled: all of it follows from its window. */
interface Pace {
  /** Between two measurements. */
  readonly sampleMs: number;
  /** Between two changes of the number of replicas. */
  readonly stepMs: number;
  /** What a replica uses to start says nothing of its load. */
  readonly warmUpMs: number;
  /** What was measured before that is no longer known. */
  readonly staleMs: number;
  /** What holds or limits a service for so long is written down. */
  readonly patienceMs: number;
}

export function paceOf({ windowMs }: { readonly windowMs: number }): Pace {
  const sampleMs = within(1_000, windowMs / 20, 5_000);
  const stepMs = within(1_000, windowMs / 4, 15_000);
  return {
    sampleMs,
    stepMs,
    warmUpMs: within(1_000, windowMs / 4, 10_000),
    staleMs: 3 * sampleMs + 1_000,
    patienceMs: 2 * stepMs,
  };
}

function within(least: number, wished: number, most: number): number {
  return Math.max(least, Math.min(most, wished));
}
