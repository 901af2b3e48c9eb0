import type { WallMs, Disposer } from './clock.js';

/**
 * Why a term ended. A closed set:
 * - `released`: the lease was seen with no holder, emptied by somebody else
 * - `deadline`: it could not be renewed in time, or the process did not run for that long
 * - `superseded`: another holder was seen in the lease
 * - `leaseGone`: the Lease was deleted
 * - `termLimit`: `termLimit` was reached
 * - `steppedDown`: handed over on request, or because the task of `runAsLeader` had ended, or because in a
 *   coordinated election another candidate is preferred
 * - `stopped`: handed over because the elector is stopping
 */
export type TermEndReason =
  'released' | 'deadline' | 'superseded' | 'leaseGone' | 'termLimit' | 'steppedDown' | 'stopped';

const HANDED_OVER: readonly TermEndReason[] = ['stopped', 'steppedDown', 'termLimit'];

/** Whether a term that ended so was taken from this process, and not handed over by it. */
export function isLoss(reason: TermEndReason): boolean {
  return !HANDED_OVER.includes(reason);
}

/**
 * One uninterrupted period of leadership of this process.
 *
 * Every look at it checks both clocks, needs no I/O and no event loop turn: a process that was stopped for
 * longer than the validity finds its term over at the first look after it continues. The one thing that
 * cannot look by itself is the plain `AbortSignal`, which fires as soon as the event loop turns.
 */
export interface LeadershipTerm {
  /** Name of the lease. */
  readonly leaseName: string;
  /** The name under which this process holds it. */
  readonly identity: string;
  /**
   * Larger than that of every earlier term of this lease, also across deletion and re-creation of the Lease:
   * the resourceVersion under which the term's first record was seen stored. 0 where there is no Lease
   * (`enabled: false`). Store it with what you write, and refuse what comes with a smaller one.
   */
  readonly fencingToken: bigint;
  /** Which of the `slots` this process leads, from 0; 0 in an election of one. */
  readonly slot: number;
  /** When it began, wall clock, milliseconds since 1970. */
  readonly startedAt: WallMs;
  /** When the write was sent that last proved the lease ours, wall clock, milliseconds since 1970. */
  readonly renewedAt: WallMs;
  /**
   * Fires when the term's work must stop: no later than the term's validity, and at the start of a
   * hand-over. Its `reason` is a `TermOverError`.
   */
  readonly signal: AbortSignal;
  /** Whether work in this term must stop: the signal has fired or the validity has run out. */
  readonly isOver: boolean;
  /** Milliseconds for which the term is certain if nothing more is heard; 0 when over. */
  remaining(): number;
  /** @throws TermOverError `LEADER_TERM_OVER` when the term is over. */
  throwIfOver(): void;
  /**
   * For an operation that takes no signal: settles as `operation` does, or rejects with the term's error as soon as the term
   * is over. The operation itself is not stopped: it stays work of the term until it has settled, so that a hand-over waits
   * for it. Its failure after the end of the term is nobody's.
   *
   * @throws TermOverError (as a rejection) when the term ends first, or is over already.
   */
  race<T>(operation: PromiseLike<T>): Promise<T>;
  /**
   * One read from the API server that proves the lease is still this term's at the moment of the read.
   *
   * @throws TermOverError when it is not, or the term is over anyway; seeing that ends the term.
   * @throws LeaderError `LEADER_UNCONFIRMED` when the API server gave no answer.
   */
  confirm(options?: { signal?: AbortSignal | undefined }): Promise<void>;
  /**
   * Counts a piece of work into the term: a hand-over waits for it before it gives up the lease. Call the
   * returned function when the work has ended; twice is harmless.
   *
   * @throws TermOverError when the term is over.
   */
  enter(): Disposer;
  /** Token as a decimal string, times in milliseconds. */
  toJSON(): Record<string, unknown>;
}
