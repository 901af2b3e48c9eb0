import { pause, systemClock } from '../election/internal.js';
import { shownError, withCluster } from './cluster.js';
import type { LeaseView } from './lease-view.js';
import { LiveLeases } from './live-leases.js';
import { checkSelection, noLease, type LeaseFlags } from './status.js';
import { leaseTable } from './table.js';
import { EXIT, type ExitCode, type Terminal } from './terminal.js';

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
        : new Lines(terminal, (lease, event) =>
            flags.json === true
              ? [JSON.stringify({ time: timeText(live.serverNow), event, ...lease })]
              : linesOf(lease, event, live, namespace === ''),
          );
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
          terminal.warn(shownError(error));
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
      await following;
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
    // A line that is wrapped would take two.
    const lines = this.#render(leases).map((line) => line.slice(0, this.#terminal.columns));
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

/** A line for each Lease that is other than before. */
class Lines {
  readonly #terminal: Terminal;
  /** Its line, and before the first one the header, if there is one. */
  readonly #render: (lease: LeaseView, event: Happened) => readonly string[];
  /** What was told about each Lease. */
  readonly #told = new Map<string, string>();
  #hasHeader = false;

  constructor(terminal: Terminal, render: (lease: LeaseView, event: Happened) => readonly string[]) {
    this.#terminal = terminal;
    this.#render = render;
  }

  changed(leases: readonly LeaseView[]): void {
    for (const lease of leases) {
      const key = `${lease.namespace}/${lease.name}`;
      const { holder, state, transitions, acquireTime, askedBy, leaseDurationMs, writtenBy, token } = lease;
      const news = JSON.stringify([
        ...[holder, state, transitions, acquireTime, askedBy, leaseDurationMs, writtenBy, token],
      ]);
      const told = this.#told.get(key);
      if (told === news) continue;
      this.#told.set(key, news);
      this.#write(lease, told === undefined ? 'seen' : 'changed');
    }
  }

  deleted(lease: LeaseView): void {
    this.#told.delete(`${lease.namespace}/${lease.name}`);
    this.#write(lease, 'deleted');
  }

  #write(lease: LeaseView, event: Happened): void {
    const lines = this.#render(lease, event);
    const shown = this.#hasHeader ? lines.slice(-1) : lines;
    this.#hasHeader = true;
    this.#terminal.write(`${shown.join('\n')}\n`);
  }
}

/** The header, and the line of a Lease below it. */
function linesOf(
  lease: LeaseView,
  event: Happened,
  { serverNow, views }: LiveLeases,
  showsNamespace: boolean,
): string[] {
  // Aligned with the lines of the others.
  const [header = '', cells = ''] = leaseTable([lease, ...views], { namespace: showsNamespace, token: true });
  const time = timeText(serverNow) ?? '';
  return [
    `${'TIME'.padEnd(time.length)}   ${header}`,
    [time, ...(event === 'deleted' ? ['deleted'] : []), cells].join('   '),
  ];
}

function timeText(time: number | undefined): string | null {
  return time === undefined ? null : new Date(time).toISOString();
}
