/**
 * The formulas of rules 1 to 3 of ARCHITECTURE.md, once for two readers: the solver of model.ts, to which an instant is a term, and
 * the checker of test/conformance, to which it is a number of a trace.
 */

/** How to calculate with instants and durations `N`; `F` is what a comparison gives. */
export interface Arithmetic<N, F> {
  sum(first: N, ...others: readonly N[]): N;
  isBefore(a: N, b: N): F;
  and(a: F, b: F): F;
}

/** What the two clocks of one process show at one instant. */
export interface Clocks<N> {
  readonly monotonic: N;
  readonly wall: N;
}

/** Until when a validity lasts by one clock: it counts from the sending of the write that earned it (rule 1). */
export function certainUntil<N>({ sum }: Arithmetic<N, unknown>, sent: N, renewDeadline: N): N {
  return sum(sent, renewDeadline);
}

/** Whether a validity still lasts, by both clocks (rule 2). */
export function isCertain<N, F>(
  how: Arithmetic<N, F>,
  look: Clocks<N>,
  sent: Clocks<N>,
  renewDeadline: N,
): F {
  return how.and(
    how.isBefore(look.monotonic, certainUntil(how, sent.monotonic, renewDeadline)),
    how.isBefore(look.wall, certainUntil(how, sent.wall, renewDeadline)),
  );
}

/** From when others may claim: their first sight of the record, or of a deletion, and then its duration and `lockDelay` (rules 1, 3). */
export function claimableFrom<N>({ sum }: Arithmetic<N, unknown>, seen: N, duration: N, lockDelay: N): N {
  return sum(seen, duration, lockDelay);
}

/** For the numbers of a trace. */
export const numbers: Arithmetic<number, boolean> = {
  sum: (...terms) => terms.reduce((sum, term) => sum + term),
  isBefore: (a, b) => a < b,
  and: (a, b) => a && b,
};
