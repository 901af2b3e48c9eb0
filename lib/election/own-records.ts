/** The records this process writes, field by field as client-go writes them. */
import type { Clock } from './clock.js';
import { isElected } from './elected-record.js';
import {
  slightlyAfter,
  toMicroTimeAfter,
  withMicroseconds,
  type LeaseRecord,
  type MicroTime,
} from './lease-record.js';

/** Before every time that a Lease can have. */
const NEVER = '' as MicroTime;
/** A Lease counts its transitions in 32 bits. At the end it counts no further: tokens do not come from it. */
const MOST_TRANSITIONS = 2 ** 31 - 1;

/** See the head of the file. */
export class OwnRecords {
  readonly #identity: string;
  readonly #leaseDurationSeconds: number;
  readonly #clock: Clock;
  readonly #shares: boolean;
  readonly #leavesNote: boolean;
  #lastTime = NEVER;

  /** @param coordinated Leave a note of each record that outlives the server's putting another name in its place. */
  constructor(
    holder: { identity: string; leaseDuration: number; spread: boolean },
    clock: Clock,
    coordinated = false,
  ) {
    this.#leavesNote = coordinated;
    this.#identity = holder.identity;
    this.#shares = holder.spread;
    this.#leaseDurationSeconds = holder.leaseDuration / 1000;
    this.#clock = clock;
  }

  /** Begins a term, on top of `previous`; undefined: there is no Lease yet. */
  toAcquire(previous: LeaseRecord | undefined): LeaseRecord {
    const now = this.#time();
    // The name in the lease does not change: no transition, and still the same acquisition, but for less than a
    // millisecond: it moves on with each claim, so that two of one name that claim at one instant do not write alike, and
    // whoever of that name holds the lease sees that another has claimed it.
    // Nor does it when it is the server that has put it there; but that has cleared the time, and makes a transition:
    // also for one that leaves no note, of whom there would be no trace when the server names the next.
    const named = previous?.holderIdentity === this.#identity;
    const kept = named && !isElected(previous, this.#identity);
    const { acquireTime: acquiredBefore } = previous ?? {};
    const movedOn =
      kept && acquiredBefore !== undefined ? slightlyAfter(acquiredBefore, this.#clock.random()) : undefined;
    return {
      holderIdentity: this.#identity,
      leaseDurationSeconds: this.#leaseDurationSeconds,
      acquireTime: movedOn ?? withMicroseconds(now, this.#clock.random()),
      renewTime: now,
      leaseTransitions:
        previous === undefined
          ? 0
          : Math.min((previous.leaseTransitions ?? 0) + (kept ? 0 : 1), MOST_TRANSITIONS),
      ...this.#note(now),
    };
  }

  /** Goes on with a term. Whoever asked in vain is forgotten: a release would be left to it. */
  toRenew({ wantedBy, ...previous }: LeaseRecord): LeaseRecord {
    const now = this.#time();
    return {
      ...previous,
      ...(this.#shares && wantedBy !== undefined && { wantedBy }),
      leaseDurationSeconds: this.#leaseDurationSeconds,
      renewTime: now,
      ...this.#note(now),
    };
  }

  /**
   * Gives the lease up. The holder is `''`, never absent: under a coordinated election an absent one crashes the
   * API server. One second is the shortest duration a Lease can have.
   */
  toRelease(previous: LeaseRecord): LeaseRecord {
    const now = this.#time();
    return {
      ...previous,
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: now,
      renewTime: now,
      ...this.#note(now),
    };
  }

  #note(heldAt: MicroTime): Pick<LeaseRecord, 'heldAt'> {
    return this.#leavesNote ? { heldAt } : {};
  }

  /**
   * This process' own clock, and later than whatever this process wrote before, so that a record tells which of its
   * attempts was carried out: two alike, and an old one that commits late would earn the validity of a new one. What others
   * wrote does not count: one clock that is hours ahead would be handed on for ever, and whoever goes by `renewTime` would
   * wait that long.
   */
  #time(): MicroTime {
    this.#lastTime = toMicroTimeAfter(this.#lastTime, this.#clock.date(), this.#clock.random());
    return this.#lastTime;
  }
}
