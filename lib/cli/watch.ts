import { pause, systemClock } from '../election/internal.js';
import { refusedFor, shownError, withCluster } from './cluster.js';
import type { LeaseView } from './lease-view.js';
import { LiveLeases } from './live-leases.js';
import { checkSelection, noLease, type LeaseFlags } from './status.js';
import { aligned, cellsOf, headerOf, leaseTable, widthsOf, type Columns } from './table.js';
import { EXIT, json, type ExitCode, type Terminal } from './terminal.js';

/** How often ages are shown anew, and a lease that nobody renews is looked at. */
const TICK_MS = 1_000;

/**
 * Shows Leases until SIGINT. A terminal shows one table that is rewritten; otherwise a line is printed for each Lease that
 * changes, but not for mere renewals.
 */
export async function watch(
  terminal: Terminal,
  name: string | undefined,
  flags: LeaseFlags,
): Promise<ExitCode> {
  checkSelection(name, flags);
  return withCluster(flags, async (cluster) => {
    const namespace = flags.allNamespaces === true ? '' : cluster.namespace;
    const live = new LiveLeases(cluster.observer(name, namespace));
    const columns = { namespace: namespace === '', token: true };
    const show =
      flags.json !== true && terminal.columns !== undefined
        ? new Screen(terminal, (leases) =>
            leases.length === 0 ? [noLease(name, namespace)] : leaseTable(leases, columns),
          )
        : new Lines(
            terminal,
            flags.json === true
              ? (told) =>
                  told.map(({ lease, event }) => json({ time: timeText(live.serverNow), event, ...lease }))
              : alignedLines(live, columns),
          );
    const shown = (error: unknown): unknown =>
      name === undefined ? error : refusedFor(error, 'watch', name, ['get', 'watch']);
    // Ends the ticks also when the first read fails.
    const done = new AbortController();
    const signal = AbortSignal.any([terminal.signal, done.signal]);
    const following = live.follow(
      {
        changed: () => {
          show.changed(live.views);
        },
        deleted: (lease) => {
          show.deleted(lease);
        },
        problem: (error) => {
          terminal.warn(shownError(shown(error)));
        },
      },
      signal,
    );
    const ticking = (async () => {
      const tick = (): Promise<void> => pause(systemClock, TICK_MS, signal);
      await tick();
      while (!done.signal.aborted && !terminal.signal.aborted) {
        show.changed(live.views);
        await tick();
      }
    })();
    try {
      await following.catch((error: unknown) => {
        throw shown(error);
      });
    } finally {
      done.abort();
      await ticking;
    }
    return EXIT.ok;
  });
}

/** One table, written again in place. */
class Screen {
  readonly #terminal: Terminal;
  readonly #render: (leases: readonly LeaseView[]) => readonly string[];
  #shown = '';

  constructor(terminal: Terminal, render: (leases: readonly LeaseView[]) => readonly string[]) {
    this.#terminal = terminal;
    this.#render = render;
  }

  changed(leases: readonly LeaseView[]): void {
    // Some terminals say 0 for what they do not know.
    const known = (size: number | undefined): number | undefined => (size === 0 ? undefined : size);
    const [columns, rows] = [known(this.#terminal.columns), known(this.#terminal.rows) ?? Infinity];
    // The header stands above the leases, and the cursor below them.
    const most = Math.max(rows - 2, 1);
    const hidden = leases.length - most;
    const shown = hidden > 0 ? leases.slice(0, Math.max(most - 1, 1)) : leases;
    const more =
      hidden > 0
        ? [`… and ${String(leases.length - shown.length)} more: name one, or pipe this into a file`]
        : [];
    // A line that is wrapped would take two.
    const lines = [...this.#render(shown), ...more]
      .map((line) => line.slice(0, columns))
      .slice(0, Math.max(rows - 1, 1));
    const text = `${lines.join('\n')}\n`;
    if (text === this.#shown) return;
    const height = this.#shown.split('\n').length - 1;
    this.#terminal.write(`${height > 0 ? `\u001b[${String(height)}A\u001b[J` : ''}${text}`);
    this.#shown = text;
  }

  deleted(): void {
    // The next table shows it.
  }
}

/** What happened to a Lease. */
type Happened = 'seen' | 'changed' | 'deleted';

/** A Lease, and what happened to it. */
interface Told {
  readonly lease: LeaseView;
  readonly event: Happened;
}

/** A line for each Lease that is other than before. */
class Lines {
  readonly #terminal: Terminal;
  readonly #render: (told: readonly Told[]) => readonly string[];
  /** What was told about each Lease. */
  readonly #told = new Map<string, string>();

  constructor(terminal: Terminal, render: (told: readonly Told[]) => readonly string[]) {
    this.#terminal = terminal;
    this.#render = render;
  }

  changed(leases: readonly LeaseView[]): void {
    const news: Told[] = [];
    for (const lease of leases) {
      const key = `${lease.namespace}/${lease.name}`;
      const { holder, state, transitions, acquireTime, askedBy, leaseDurationMs, writtenBy, token } = lease;
      const now = JSON.stringify([
        ...[holder, state, transitions, acquireTime, askedBy, leaseDurationMs, writtenBy, token],
      ]);
      const told = this.#told.get(key);
      if (told === now) continue;
      this.#told.set(key, now);
      news.push({ lease, event: told === undefined ? 'seen' : 'changed' });
    }
    this.#write(news);
  }

  deleted(lease: LeaseView): void {
    this.#told.delete(`${lease.namespace}/${lease.name}`);
    this.#write([{ lease, event: 'deleted' }]);
  }

  #write(told: readonly Told[]): void {
    if (told.length > 0) this.#terminal.write(`${this.#render(told).join('\n')}\n`);
  }
}

/** Makes the lines of Leases, the first below a header. Columns are as wide as their widest cell so far. */
function alignedLines(live: LiveLeases, columns: Columns): (told: readonly Told[]) => string[] {
  let widths: number[] | undefined;
  return (told) => {
    const rows = told.map(({ lease, event }) => ({ event, cells: cellsOf(lease, columns) }));
    const header = widths === undefined ? [headerOf(columns)] : [];
    const wide = widthsOf([...header, ...rows.map(({ cells }) => cells)], widths);
    widths = wide;
    const time = timeText(live.serverNow) ?? '';
    return [
      ...header.map((names) => `${'TIME'.padEnd(time.length)}   ${aligned(names, wide)}`),
      ...rows.map(({ event, cells }) =>
        [time, ...(event === 'deleted' ? ['deleted'] : []), aligned(cells, wide)].join('   '),
      ),
    ];
  };
}

function timeText(time: number | undefined): string | null {
  return time === undefined ? null : new Date(time).toISOString();
}
