/** A table of Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`;
}

/** A figure, rounded for reading; a dash for none. */
export function figure(value: number | null | undefined): string {
  if (value === undefined || value === null || Number.isNaN(value)) return '–';
  const size = Math.abs(value);
  const digits = value === 0 || size >= 10 ? 0 : size >= 1 ? 1 : 2;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A time in milliseconds, or from a second on in seconds. */
export function duration(ms: number | null | undefined): string {
  if (ms === undefined || ms === null || Number.isNaN(ms)) return '–';
  return Math.abs(ms) >= 1_000 ? `${(ms / 1_000).toFixed(1)} s` : `${figure(ms)} ms`;
}
