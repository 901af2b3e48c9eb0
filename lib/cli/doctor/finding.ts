/** `skip`: the check could not be made, or says nothing here. */
export type Level = 'ok' | 'warn' | 'fail' | 'skip';

/** What one check found. */
export interface Finding {
  readonly check: string;
  readonly level: Level;
  /** What was seen. */
  readonly seen: string;
  /** What should be so. */
  readonly rule?: string;
  /** What to do. */
  readonly remedy?: string;
}

/** Milliseconds as people read them. */
export function ms(value: number): string {
  if (value < 10) return `${value.toFixed(1)} ms`;
  return value < 10_000 ? `${value.toFixed(0)} ms` : `${String(Math.round(value / 100) / 10)} s`;
}

/** A duration of the options. */
export function seconds(value: number): string {
  return `${String(value / 1_000)} s`;
}
