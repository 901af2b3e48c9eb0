/** Figures of a series, in milliseconds. */
export interface Summary {
  readonly n: number;
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Below 100 values the p99 is the largest. */
export function summarise(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(Math.ceil(share * sorted.length), sorted.length) - 1] ?? Number.NaN;
  const sum = sorted.reduce((total, value) => total + value, 0);
  return { n: sorted.length, mean: sum / sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}
