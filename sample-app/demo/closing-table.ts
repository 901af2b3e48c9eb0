import type { ClaimHistory } from './check-claims.js';
import type { ScriptStep } from './failover-script.js';
import { showDuration } from './show-time.js';

/** The result of a script, for people. */
export function closingTable(
  steps: readonly ScriptStep[],
  history: ClaimHistory,
  violations: readonly string[],
): string {
  const rows = [
    ['', 'from', 'to', 'token', 'took', 'expected'],
    ...steps.map(({ what, from, to, token, tookMs, expected }) => [
      what,
      from,
      to,
      token,
      showDuration(tookMs),
      expected,
    ]),
  ];
  const verdict =
    violations.length === 0
      ? `Never two leaders, no job outside a term, every token larger than the one before: ` +
        `${String(history.claims.length)} terms, ${String(history.jobs.length)} job runs, ` +
        `${String(history.looks.length)} answers "I lead" checked.`
      : `BROKEN:\n${violations.map((violation) => `  - ${violation}`).join('\n')}`;
  return `\n${alignColumns(rows)}\n\n${verdict}\n`;
}

/** Cells padded to the width of their column. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}
