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
  /** Collects garbage, if possible, and reports the remaining memory. */
  | { readonly do: 'measure' };

/** How a process ends by its own fault. `exit`: with code 3. */
export type Death = 'exception' | 'rejection' | 'exit';

/** The stage of a gated call; `told`: it was told to stop. */
export type WorkStage = 'started' | 'told' | 'ended';

export type ProcessMessage =
  | ReplicaMessage
  | { readonly type: 'work'; readonly stage: WorkStage; readonly token: string; readonly at: number }
  | { readonly type: 'blocked'; readonly from: number; readonly until: number }
  | Measured;

/** The memory and handles of a process. */
export interface Measured {
  readonly type: 'measured';
  readonly at: number;
  /** MiB. */
  readonly heap: number;
  readonly rss: number;
  /** How many resources keep the event loop alive, by type. */
  readonly resources: Readonly<Record<string, number>>;
}

export function tell(message: ProcessMessage): void {
  if (process.connected) process.send?.(message);
}

/** Milliseconds of the machine's monotonic clock, the same in all its processes. */
export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
