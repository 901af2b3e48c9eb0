/** What a process holds in the course of a soak, and whether it grows. */
import type { ReplicaFleet } from '../processes/replica-fleet.js';
import type { ReplicaProcess } from '../processes/replica-process.js';
import type { Counts } from '../processes/replica/messages.js';

/** What is counted of a replica at rest. */
export interface Sample extends Counts {
  /** How many connections the path to the API server carries. */
  readonly connections: number;
}

/** What a replica holds at rest: one replica leads, and all know it. */
export async function sampleOf(fleet: ReplicaFleet, replica: ReplicaProcess): Promise<Sample> {
  await fleet.settled();
  return { ...(await replica.measured()), connections: replica.proxy.held };
}

interface Kind {
  readonly title: string;
  /** How much more may be held at the end than at the beginning, without a leak. */
  readonly bound: number;
  readonly digits: number;
}

const number = (title: string, bound: number): Kind => ({ title, bound, digits: 0 });

/** A leader has more of some than a follower, and a request may be on its way at one look and not at the other. */
const KINDS: Readonly<Record<keyof Sample, Kind>> = {
  // Compiled code comes late.
  heap: { title: 'heap (MiB)', bound: 4, digits: 1 },
  // The allocator keeps what the collector has freed.
  rss: { title: 'resident memory (MiB)', bound: 48, digits: 0 },
  handles: number('active handles and requests', 3),
  timers: number('timers', 4),
  sockets: number('sockets', 3),
  connections: number('open connections', 2),
  sessions: number('HTTP/2 sessions', 3),
  streams: number('HTTP/2 streams', 3),
  processListeners: number('listeners of the process', 2),
  signalListeners: number('listeners of signals', 4),
  functions: number('functions', 300),
};
/** The first and the last of this many parts are compared. */
const PARTS = 6;

/** The samples of a run, taken at even distances, in their order. */
export class Growth {
  readonly #samples: Sample[] = [];

  add(sample: Sample): void {
    this.#samples.push(sample);
  }

  /** One sentence for each kind that has grown beyond its bound. */
  get violations(): string[] {
    return this.#rows
      .filter(({ first, last, bound }) => last - first > bound)
      .map(
        ({ title, show, first, last, bound }) =>
          `${title}: ${show(first)} at the beginning, ${show(last)} at the end; at most ${String(bound)} more are allowed`,
      );
  }

  /** The rows of a Markdown table. `hours`: the duration of the run. */
  table(hours: number): string {
    const rows = this.#rows.map(({ title, show, first, last, highest, slope, bound }) => {
      const values = [show(first), show(last), show(highest), (slope / hours).toFixed(1), String(bound)];
      return `| ${[title, ...values].join(' | ')} |`;
    });
    const head = ['held', 'first sixth', 'last sixth', 'most', 'more each hour', 'allowed'];
    return [`| ${head.join(' | ')} |`, `| ${head.map(() => '---').join(' | ')} |`, ...rows].join('\n');
  }

  get #rows() {
    const kinds = Object.entries(KINDS) as [keyof Sample, Kind][];
    return kinds.map(([key, { title, bound, digits }]) => {
      const values = this.#samples.map((sample) => sample[key]);
      const size = Math.ceil(values.length / PARTS);
      return {
        title,
        bound,
        show: (value: number) => value.toFixed(digits),
        first: median(values.slice(0, size)),
        last: median(values.slice(-size)),
        highest: Math.max(...values),
        slope: slope(values),
      };
    });
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

/** How much the line of least squares through these values rises from the first to the last. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const [rise, run] = values.reduce(
    ([rises, runs], value, index) => [
      rises + (index - middle) * (value - mean),
      runs + (index - middle) ** 2,
    ],
    [0, 0],
  );
  return run === 0 ? 0 : (rise / run) * (values.length - 1);
}
