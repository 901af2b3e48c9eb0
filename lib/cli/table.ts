import { NONE, ageText, type LeaseView } from './lease-view.js';

/** Columns as kubectl aligns them, without boxes. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const lines = [header, ...rows.map((row) => row.map(plain))];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines.map((line) =>
    line
      .map((cell, column) => (column === line.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('   ')
      .trimEnd(),
  );
}

/** Whoever may write a Lease may write anything into it; control characters would change what a terminal shows. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

/** Which columns a table of Leases has besides the usual ones. */
export interface Columns {
  readonly namespace: boolean;
  readonly token: boolean;
}

/** The Leases as a table. */
export function leaseTable(leases: readonly LeaseView[], columns: Columns): string[] {
  const header = [
    ...(columns.namespace ? ['NAMESPACE'] : []),
    ...['NAME', 'HOLDER', 'STATE', 'RENEWED', 'TERM AGE'],
    ...(columns.token ? ['TOKEN'] : []),
    ...['TRANSITIONS', 'ASKED BY', 'WRITTEN BY'],
  ];
  return table(
    header,
    leases.map((lease) => [
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
    ]),
  );
}
