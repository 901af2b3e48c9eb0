/** The commands to a replica of the process tests, and its messages. Times are as in the sample application's report. */
import type { ReplicaMessage } from '../../../sample-app/replica-report.js';

export type ReplicaCommand =
  /** Starts a gated call that ends `drainMs` after it was told to stop. */
  | { readonly do: 'work'; readonly drainMs: number }
  /** Blocks the event loop; `looking`: calls isLeader() all the time. */
  | { readonly do: 'block'; readonly ms: number; readonly looking: boolean }
  /** Ends the process, and before that blocks the event loop for `afterMs`. */
  | { readonly do: 'die'; readonly how: Death; readonly afterMs?: number }
  /** From now on a listener of the term's signal sets an exit code and calls `process.exit()`, as some do when they lose the lead. */
  | { readonly do: 'exitAtAbort' }
  /** Stops this process with SIGSTOP in its next change of the registers, between its claims and its writes. */
  | { readonly do: 'stopAfterClaim' }
  /** Gives up the lease and campaigns again. */
  | { readonly do: 'stepDown' }
  /** Collects garbage, and reports what the process holds. */
  | { readonly do: 'measure' }
  /** Holds one more of these for ever. */
  | { readonly do: 'leak'; readonly what: Leak };

/** How a process ends by its own fault. `exit`: with code 3. */
export type Death = 'exception' | 'rejection' | 'exit';

/** The stage of a gated call; `told`: it was told to stop. */
export type WorkStage = 'started' | 'told' | 'ended';

export type ProcessMessage =
  | ReplicaMessage
  | { readonly type: 'work'; readonly stage: WorkStage; readonly token: string; readonly at: number }
  | { readonly type: 'blocked'; readonly from: number; readonly until: number }
  /** It has saved its change of the registers, or was refused. */
  | { readonly type: 'saved'; readonly token: string; readonly at: number }
  | Measured;

/** The registers of a replica, as JSON in REGISTERS. */
export interface RegisterSettings {
  /** Path of the database. */
  readonly database: string;
  /** Path of the file to which this replica writes its history. */
  readonly history: string;
  /** A new register is used after each `eachMs`, counted from `since` on the machine's clock. */
  readonly since: number;
  readonly eachMs: number;
}

export interface Measured {
  readonly type: 'measured';
  readonly at: number;
  readonly counts: Counts;
}

/** What a process holds after a garbage collection. */
export interface Counts {
  /** MiB. */
  readonly heap: number;
  /** MiB. */
  readonly rss: number;
  /** What keeps the event loop alive. */
  readonly handles: number;
  /** Set or not, as long as something refers to them. So are sockets, sessions and streams counted, open or not. */
  readonly timers: number;
  /** Of TCP, with TLS or without. */
  readonly sockets: number;
  /** Of HTTP/2. */
  readonly sessions: number;
  /** Of HTTP/2. */
  readonly streams: number;
  readonly processListeners: number;
  /** The listeners of all signals and other event targets. */
  readonly signalListeners: number;
  readonly functions: number;
}

/** What a replica can be told to leak. */
export type Leak = 'processListeners' | 'signalListeners' | 'sockets' | 'timers' | 'heap';

export function tell(message: ProcessMessage): void {
  if (process.connected) process.send?.(message);
}

/** Milliseconds of the machine's monotonic clock, the same in all its processes. */
export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
