/**
 * What this process wrote, and which of it is still unanswered (design.md §4, rules 5 and 7).
 *
 * A write may commit although its reply never comes, so its success is recognised by its record, through
 * whatever channel that is seen. An attempt proves itself at most once, with the stamp taken before it was
 * sent, and only until {@link voidAttempts} is called; its record is remembered as our own for longer.
 */
import type { ActiveTerm } from './active-term.js';
import type { MonotonicMs, WallMs } from './clock.js';
import type { LeaseSnapshot } from './lease-lock.js';
import { sameRecord, type LeaseRecord } from './lease-record.js';

/** A write that was sent. */
export interface WriteAttempt {
  readonly record: LeaseRecord;
  /** What it is conditional on; undefined: on the Lease not existing. */
  readonly base: LeaseSnapshot | undefined;
  /** The term it is to extend; undefined: it is to begin one. It does nothing else, however late it is proved. */
  readonly term: ActiveTerm | undefined;
  /** Both clocks, read before it was sent: from here its validity counts. */
  readonly sentAt: MonotonicMs;
  readonly sentOn: WallMs;
}

/**
 * How many own records to remember that may yet be stored, besides the one that is. Only those conditional on the newest
 * resourceVersion can still commit, and of those a handful are in flight at once.
 */
const REMEMBERED = 32;

/** A record of ours, and when it was sent. */
type OwnWrite = Pick<WriteAttempt, 'record' | 'sentAt' | 'sentOn'>;

/** See the head of the file. */
export class WriteLedger {
  #unanswered: WriteAttempt[] = [];
  #written: OwnWrite[] = [];
  /** The one that was seen stored last: what is not stored any more may be forgotten, but never this. */
  #stored: OwnWrite | undefined;

  /** A write is about to be sent. */
  sent(attempt: WriteAttempt): void {
    this.#unanswered.push(attempt);
    this.#written.push(attempt);
    if (this.#written.length > REMEMBERED) this.#written.shift();
  }

  /** The server refused it: this request did nothing. */
  refused(attempt: WriteAttempt): void {
    this.#unanswered = this.#unanswered.filter((other) => other !== attempt);
    this.#written = this.#written.filter((other) => other !== attempt);
  }

  /** The attempt that `seen` proves to have succeeded, if any. Forgets those that can no longer succeed. */
  settle(seen: LeaseSnapshot): WriteAttempt | undefined {
    const proved = this.#unanswered.find(({ record }) => sameRecord(record, seen.record));
    this.#unanswered = this.#unanswered.filter(
      (attempt) => attempt !== proved && attempt.base?.resourceVersion === seen.resourceVersion,
    );
    return proved;
  }

  /** No attempt sent so far may begin or extend a term. */
  voidAttempts(): void {
    this.#unanswered = [];
  }

  /** A write is out whose outcome is not known. */
  get waiting(): boolean {
    return this.#unanswered.length > 0;
  }

  /** `record` is that of an attempt which is still unanswered. */
  awaits(record: LeaseRecord): boolean {
    return this.#unanswered.some((attempt) => sameRecord(attempt.record, record));
  }

  /** When this process sent `record`, which was seen; undefined if another wrote it. */
  sendingOf(record: LeaseRecord): OwnWrite | undefined {
    const isIt = (own: OwnWrite): boolean => sameRecord(own.record, record);
    const own = this.#stored !== undefined && isIt(this.#stored) ? this.#stored : this.#written.find(isIt);
    this.#stored = own ?? this.#stored;
    return own;
  }
}
