import type { EventLoop } from './event-loop.js';
import type { RecordRules } from './record-rules.js';

/** A process that takes part in the election, as the witness sees it. */
export interface Party {
  /** The name of this process alone; a restarted process has another. */
  readonly name: string;
  /** The holder identity that it writes into the Lease. */
  readonly identity: string;
  readonly loop: EventLoop;
  /**
   * Whether it recognises its lease by the holder's name, and claims a deleted Lease at once, as client-go does. Our
   * electors recognise the records they wrote, and respect every holder they saw.
   */
  readonly goesByName: boolean;
  /** What its records must look like; undefined if that is not checked. */
  readonly records: RecordRules | undefined;
  /** Whether it takes over at once what another process has written under its name (`reclaimOwnLease`). */
  readonly reclaims: boolean;
  /** How much longer it waits for a holder that has not released (`lockDelay`), in milliseconds of its clock. */
  readonly lockDelay: number;
  /** The rate of its clock. */
  readonly rate: number;
  /** Its monotonic clock. */
  readonly now: number;
  /** How many gated jobs run in it, of terms of this slot. */
  jobsRunning(slot: number): number;
}
