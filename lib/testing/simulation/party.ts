import type { EventLoop } from './event-loop.js';

/** A process that takes part, as the witness sees it. */
export interface Party {
  /** Of this process alone; a restarted one has another. */
  readonly name: string;
  /** What it writes into the Lease. */
  readonly identity: string;
  readonly loop: EventLoop;
  /**
   * It goes by the name in the record, and takes a Lease that is gone at once, as client-go does. Ours go by what they
   * wrote, and respect whoever they saw.
   */
  readonly goesByName: boolean;
  /** How fast its clock runs. */
  readonly rate: number;
  /** Its monotonic clock. */
  readonly now: number;
  /** How much gated work runs in it. */
  readonly jobsRunning: number;
}
