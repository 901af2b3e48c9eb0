/** A table of Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`;
}

/** A figure with as many digits as mean something; a dash for none. */
export function figure(value: number | null | undefined): string {
  if (value === undefined || value === null || Number.isNaN(value)) return '–';
  const digits = Math.abs(value) < 10 ? 1 : 0;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function seconds(ms: number | null | undefined): string {
  return ms === undefined || ms === null ? '–' : (ms / 1000).toFixed(1);
}
