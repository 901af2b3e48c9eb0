/** Milliseconds since the start as seconds, in a column. */
export function showTime(ms: number): string {
  return `${(ms / 1_000).toFixed(3).padStart(8)} s`;
}

export function showDuration(ms: number): string {
  return ms < 1_000 ? `${ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(2)} s`;
}
