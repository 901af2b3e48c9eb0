/**
 * A term, as the elector that began it drives it.
 *
 * Guarantees: over at once when the validity has run out on either clock, whoever looks first; the signal
 * fires before anyone is told. Not guaranteed: that the plain AbortSignal fires while the event loop is
 * blocked. Clocks: validity on the monotonic one, the wall clock only as a second witness (design.md §4
 * rules 1 and 2).
 */
import { after, type Clock, type Disposer, type MonotonicMs, type WallMs } from './clock.js';
import { TermOverError } from './errors.js';
import type { GatedWork } from './gated-work.js';
import type { LeadershipTerm, TermEndReason } from './term.js';
import { raceTerm } from './term-race.js';

/** Until when a term is certain, on both clocks, and by which write. */
export interface Validity {
  readonly sentOn: WallMs;
  readonly until: MonotonicMs;
  readonly untilDate: WallMs;
}

/** A validity that never ends by itself: for electors without a lease. */
export function unlimited(clock: Clock): Validity {
  return {
    sentOn: clock.date(),
    until: Number.POSITIVE_INFINITY as MonotonicMs,
    untilDate: Number.POSITIVE_INFINITY as WallMs,
  };
}

/** What a term is told when it begins. */
export interface TermFacts {
  readonly leaseName: string;
  readonly identity: string;
  readonly fencingToken: bigint;
  readonly slot: number;
  readonly validity: Validity;
}

/** What a term asks of its elector. */
export interface TermOwner {
  readonly clock: Clock;
  /** Counts what runs in any of the owner's terms. */
  readonly work: GatedWork;
  /** It has looked at the clocks, as it does every second, and the lease is held. */
  looked(): void;
  /** The validity ran out. Called at most once, by whichever look noticed; must {@link ActiveTerm.end} it. */
  expired(term: ActiveTerm): void;
  /** One read that proves the lease ours, or ends the term, or throws. */
  confirm(term: ActiveTerm, signal: AbortSignal | undefined): Promise<void>;
}

/**
 * How long at most between two looks at the clocks: a resumed virtual machine has a monotonic clock, and with it
 * timers, that stood still.
 */
const LONGEST_BETWEEN_LOOKS_MS = 1_000;

/** See the head of the file. */
export class ActiveTerm implements LeadershipTerm {
  readonly leaseName: string;
  readonly identity: string;
  readonly slot: number;
  readonly startedAt: WallMs;
  /** When it began, on the monotonic clock. */
  readonly beganAt: MonotonicMs;
  /** No field of the object's own: whoever copies those to send them as JSON (class-transformer does) would fail on a bigint. */
  readonly #fencingToken: bigint;
  readonly #owner: TermOwner;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  #validity: Validity;
  /** `open`: work may start. `closing`: it must stop, the lease is still held. `lost`: the lease is not. */
  #stage: 'open' | 'closing' | 'lost' = 'open';
  #stopLooking: Disposer = () => undefined;

  constructor(facts: TermFacts, owner: TermOwner) {
    this.leaseName = facts.leaseName;
    this.identity = facts.identity;
    this.#fencingToken = facts.fencingToken;
    this.slot = facts.slot;
    this.#validity = facts.validity;
    this.#owner = owner;
    this.#clock = owner.clock;
    this.startedAt = this.#clock.date();
    this.beganAt = this.#clock.now();
    this.#lookLater();
  }

  get fencingToken(): bigint {
    return this.#fencingToken;
  }

  get renewedAt(): WallMs {
    return this.#validity.sentOn;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return this.#stage !== 'open' || !this.holdsLease();
  }

  remaining(): number {
    return this.isOver ? 0 : this.validFor();
  }

  throwIfOver(): void {
    if (this.isOver) throw this.#controller.signal.reason;
  }

  race<T>(operation: PromiseLike<T>): Promise<T> {
    return raceTerm(this, this.#owner.work, operation);
  }

  async confirm(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.throwIfOver();
    await this.#owner.confirm(this, options.signal);
    this.throwIfOver();
  }

  enter(): Disposer {
    this.throwIfOver();
    return this.#owner.work.enter();
  }

  toJSON(): Record<string, unknown> {
    return {
      leaseName: this.leaseName,
      identity: this.identity,
      fencingToken: this.fencingToken.toString(),
      startedAt: this.startedAt,
      renewedAt: this.renewedAt,
      isOver: this.isOver,
      remaining: this.remaining(),
    };
  }

  /**
   * Whether the lease is certainly held: also while handing over, when {@link isOver} is true already.
   * Ends the term when it finds out that it is not.
   */
  holdsLease(): boolean {
    if (this.#stage === 'lost') return false;
    if (this.#clock.now() < this.#validity.until && this.#clock.date() < this.#validity.untilDate)
      return true;
    this.#stage = 'lost';
    this.#owner.expired(this);
    return false;
  }

  /** Until when the lease is certain on the monotonic clock. */
  get validUntil(): MonotonicMs {
    return this.#validity.until;
  }

  /** Milliseconds of validity left, on the clock that leaves fewer. */
  validFor(): number {
    const left = Math.min(
      this.#validity.until - this.#clock.now(),
      this.#validity.untilDate - this.#clock.date(),
    );
    return Math.max(left, 0);
  }

  /** A later write succeeded. */
  extend(validity: Validity): void {
    if (validity.until > this.#validity.until) this.#validity = validity;
  }

  /** Work must stop; the lease is still held. */
  close(reason: TermEndReason): void {
    if (this.#stage === 'open') this.#stage = 'closing';
    if (!this.#controller.signal.aborted) this.#controller.abort(new TermOverError(this.leaseName, reason));
  }

  /** The lease is not held any more. */
  end(reason: TermEndReason): void {
    this.#stage = 'lost';
    this.#stopLooking();
    this.close(reason);
  }

  #lookLater(): void {
    if (this.#validity.until === Number.POSITIVE_INFINITY) return;
    this.#stopLooking = this.#clock.setTimer(Math.min(this.validFor(), LONGEST_BETWEEN_LOOKS_MS), () => {
      if (!this.holdsLease()) return;
      this.#lookLater();
      this.#owner.looked();
    });
  }
}

/** The validity that a write earns which was sent at these instants. */
export function validityOf(sentAt: MonotonicMs, sentOn: WallMs, renewDeadline: number): Validity {
  return { sentOn, until: after(sentAt, renewDeadline), untilDate: after(sentOn, renewDeadline) };
}
