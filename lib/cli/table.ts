import { NONE, ageText, type LeaseView } from './lease-view.js';
import { plain } from './terminal.js';

/** Columns as kubectl aligns them, without boxes. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const lines = [header, ...rows.map((row) => row.map(plain))];
  const widths = widthsOf(lines);
  return lines.map((line) => aligned(line, widths));
}

/** How wide each column is, at least as wide as before. */
export function widthsOf(lines: readonly (readonly string[])[], before: readonly number[] = []): number[] {
  const widths = [...before];
  for (const line of lines)
    for (const [column, cell] of line.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  return widths;
}

/** A line of a table. */
export function aligned(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
    .join('   ')
    .trimEnd();
}

/** Which columns a table of Leases has besides the usual ones. */
export interface Columns {
  readonly namespace: boolean;
  readonly token: boolean;
}

/** The Leases as a table. */
export function leaseTable(leases: readonly LeaseView[], columns: Columns): string[] {
  return table(
    headerOf(columns),
    leases.map((lease) => cellsOf(lease, columns)),
  );
}

/** The names of the columns. */
export function headerOf(columns: Columns): string[] {
  return [
    ...(columns.namespace ? ['NAMESPACE'] : []),
    ...['NAME', 'HOLDER', 'STATE', 'RENEWED', 'TERM AGE'],
    ...(columns.token ? ['TOKEN'] : []),
    ...['TRANSITIONS', 'ASKED BY', 'WRITTEN BY'],
  ];
}

/** What the columns show of a Lease. */
export function cellsOf(lease: LeaseView, columns: Columns): string[] {
  return [
    ...(columns.namespace ? [lease.namespace] : []),
    lease.name,
    lease.holder ?? NONE,
    lease.state,
    lease.renewedAgoMs === null ? NONE : `${ageText(lease.renewedAgoMs)} ago`,
    ageText(lease.termAgeMs),
    ...(columns.token ? [lease.token ?? NONE] : []),
    String(lease.transitions ?? NONE),
    lease.askedBy ?? NONE,
    lease.writtenBy ?? NONE,
  ].map(plain);
}
