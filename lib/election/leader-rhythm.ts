/**
 * How often the holder of the lease renews it, as a watch tells, and from when on it is strange that the watch tells
 * nothing. A watch may be open and deaf: the path behind it is gone, or the server's cache stands still. Pure, but for what
 * it remembers.
 */
import { NEVER, after, later, type MonotonicMs } from './clock.js';
import { sameRecord, type LeaseRecord } from './lease-record.js';
import type { Observation } from './observation.js';

/** Of so many renewals the longest interval counts: one that came late is no rule, but may come again. */
const REMEMBERED = 4;
/** After how many intervals the holder has missed two renewals, with a little for their way. */
const SILENT_AFTER = 2.1;

/** See the head of the file. */
export class LeaderRhythm {
  /** What is taken for the interval until one was seen: this process' own. */
  readonly #guess: number;
  #record: LeaseRecord | undefined;
  #heardAt = NEVER;
  /** When the watch that is open told of the last renewal; undefined: it has not told of any. */
  #renewedAt: MonotonicMs | undefined;
  #intervals: readonly number[] = [];
  /** How often the lease was looked at since it was heard of. */
  #looks = 0;

  constructor(renewInterval: number) {
    this.#guess = renewInterval;
  }

  /** The watch was opened anew: what it tells first may be old. */
  watchOpened(now: MonotonicMs): void {
    this.#renewedAt = undefined;
    this.#heardAt = now;
    this.#looks = 0;
  }

  /** The lease is seen to say that now. */
  heard(record: LeaseRecord | undefined, now: MonotonicMs, channel: 'watch' | 'reply'): void {
    const before = this.#record;
    const isNew = before === undefined || record === undefined || !sameRecord(before, record);
    if (channel === 'reply' && !isNew) {
      if (now >= this.#silentAt) this.#looks += 1;
      return;
    }
    this.#heardAt = now;
    this.#looks = 0;
    this.#record = record;
    if (!isNew) return;
    const holds = record !== undefined && before?.holderIdentity === record.holderIdentity;
    if (!holds) this.#intervals = [];
    else if (channel === 'watch' && this.#renewedAt !== undefined)
      this.#intervals = [...this.#intervals, now - this.#renewedAt].slice(-REMEMBERED);
    this.#renewedAt = channel === 'watch' ? now : undefined;
  }

  /**
   * From when on to look at another's lease although a watch is open: when two renewals were missed; and if it has not
   * changed, again when it runs out, and less and less often. Never, where there is nothing to be renewed.
   */
  silentAt(observation: Observation): MonotonicMs {
    if (observation.kind !== 'present' || observation.mine) return NEVER;
    if (observation.snapshot.record.holderIdentity === '') return NEVER;
    return this.#looks === 0 ? this.#silentAt : later(this.#silentAt, observation.heldUntil);
  }

  get #silentAt(): MonotonicMs {
    const interval = this.#intervals.length > 0 ? Math.max(...this.#intervals) : this.#guess;
    return after(this.#heardAt, interval * SILENT_AFTER * 2 ** this.#looks);
  }
}
