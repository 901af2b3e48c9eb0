/**
 * The term as users see it: the interface, the handle that implements it, the count of the work that runs in it, and a test
 * for errors that come from its end.
 */
import { captureContext, isInTerm } from './current-term.js';
import type { Clock, Disposer, WallMs } from './clock.js';
import { TermOverError, isLeaderError } from './errors.js';
import { isOpen, termIn, type Life, type Term } from './life.js';
import { validFor } from './observation.js';
import { bounded } from './waiting.js';

/**
 * Why a term ended. A closed set:
 * - `released`: somebody else removed the holder from the lease
 * - `deadline`: the lease was not renewed in time, or the process was paused for too long
 * - `superseded`: the lease has another holder
 * - `leaseGone`: the Lease was deleted
 * - `termLimit`: `termLimit` was reached
 * - `steppedDown`: handed over on request, because the task of `runAsLeader` had ended, or because this process no longer
 *   wants to lead: it is not ready, or another is preferred
 * - `stopped`: handed over because the elector is stopping
 */
export type TermEndReason =
  'released' | 'deadline' | 'superseded' | 'leaseGone' | 'termLimit' | 'steppedDown' | 'stopped';

const HANDED_OVER: readonly TermEndReason[] = ['stopped', 'steppedDown', 'termLimit'];

/** Whether a term that ended for this reason was lost, not handed over. */
export function isLoss(reason: TermEndReason): boolean {
  return !HANDED_OVER.includes(reason);
}

/**
 * One uninterrupted period of leadership of this process.
 *
 * Each property and method checks both clocks and needs neither I/O nor a turn of the event loop: a process that was paused
 * for longer than the validity finds its term over at the first call after it resumes. Only `signal` depends on the event
 * loop: it fires as soon as that turns.
 */
export interface LeadershipTerm {
  /** Name of the lease. */
  readonly leaseName: string;
  /** The name under which this process holds it. */
  readonly identity: string;
  /**
   * Larger than the token of every earlier term of this lease, also after the Lease was deleted and re-created: the
   * resourceVersion of the term's first record. 0 where there is no Lease (`enabled: false`). Store it with what you write,
   * and refuse writes that carry a smaller one.
   */
  readonly fencingToken: bigint;
  /** Which of the `slots` this process leads, counted from 0; 0 in an election without slots. */
  readonly slot: number;
  /** When the term began. Wall clock, milliseconds since 1970. */
  readonly startedAt: WallMs;
  /** When the last successful renewal was sent. Wall clock, milliseconds since 1970. */
  readonly renewedAt: WallMs;
  /**
   * Fires when the term's work must stop: at the start of a hand-over, when the lease is found lost, and when the validity
   * has run out. In the last case a timer fires it, milliseconds late (more while the event loop is blocked), unless a
   * `throwIfOver()`, `enter()` or `race()` finds the term over first. `isOver` and `throwIfOver()` are exact. Another
   * process leads no earlier than leaseDuration − renewDeadline after the validity has run out. The signal's `reason` is
   * a `TermOverError`.
   */
  readonly signal: AbortSignal;
  /** Whether work in this term must stop: the signal has fired or the validity has run out. */
  readonly isOver: boolean;
  /** Milliseconds for which the term is certain without a further renewal; 0 when over. */
  remaining(): number;
  /** @throws TermOverError `LEADER_TERM_OVER` when the term is over. */
  throwIfOver(): void;
  /**
   * For an operation that takes no signal: settles as `operation` does, or rejects with the term's error as soon as the term
   * is over. The operation itself is not stopped: it counts as work of the term until it has settled, so that a hand-over
   * waits for it. If it fails after the end of the term, that failure is ignored.
   *
   * @throws TermOverError (as a rejection) when the term ends first, or is already over.
   */
  race<T>(operation: PromiseLike<T>): Promise<T>;
  /**
   * Reads the lease from the API server, and resolves if it still belonged to this term at the moment of the read.
   *
   * @throws TermOverError when it did not, which ends the term, or when the term is already over.
   * @throws LeaderError `LEADER_UNCONFIRMED` when the API server gave no answer.
   */
  confirm(options?: { signal?: AbortSignal | undefined }): Promise<void>;
  /**
   * Registers a piece of work of the term: a hand-over waits for it before it gives up the lease. Call the returned function
   * when the work has ended; calling it twice is harmless.
   *
   * @throws TermOverError when the term is over.
   */
  enter(): Disposer;
  /** The token as a decimal string, times in milliseconds. */
  toJSON(): Record<string, unknown>;
}

// The handle

/** What a term handle needs of the elector. */
export interface TermOwner {
  readonly clock: Clock;
  readonly leaseName: string;
  readonly identity: string;
  /** Counts the work of all the owner's terms. */
  readonly work: GatedWork;
  readonly life: Life;
  /** Checks the clocks, and ends a term that has run out. */
  look(): void;
  /** Reads the lease. Resolves if it is ours, ends the term if it is not, rejects if there is no answer. */
  confirm(term: LeadershipTerm, signal: AbortSignal | undefined): Promise<void>;
}

/** The handle on a term. While the term lasts, its answers are computed from the election's state and the clocks. */
export class TermHandle implements LeadershipTerm {
  readonly leaseName: string;
  readonly identity: string;
  readonly slot: number;
  readonly startedAt: WallMs;
  /** Private, because serialisers that copy an object's own fields (class-transformer) would fail on the bigint. */
  readonly #begun: Term;
  readonly #owner: TermOwner;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  /** When it was renewed last; undefined until the term has ended. */
  #renewedAt: WallMs | undefined;

  constructor(term: Term, owner: TermOwner) {
    this.leaseName = owner.leaseName;
    this.identity = owner.identity;
    this.slot = term.slot;
    this.startedAt = term.startedAt;
    this.#begun = term;
    this.#owner = owner;
    this.#clock = owner.clock;
  }

  get fencingToken(): bigint {
    return this.#begun.fencingToken;
  }

  get renewedAt(): WallMs {
    return this.#renewedAt ?? this.#now.validity.sentOn;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return !isOpen(this.#owner.life, this.#begun.number, this.#clock.now(), this.#clock.date());
  }

  remaining(): number {
    return this.isOver ? 0 : validFor(this.#now.validity, this.#clock.now(), this.#clock.date());
  }

  throwIfOver(): void {
    if (this.isOver) throw this.#reason();
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

  /** Keeps the time of the last renewal, since the term is no longer in the state. */
  end(renewedAt: WallMs): void {
    this.#renewedAt = renewedAt;
  }

  /** Fires the signal, unless it has fired: work must stop. */
  close(reason: TermEndReason): void {
    if (!this.signal.aborted) this.#controller.abort(new TermOverError(this.leaseName, reason));
  }

  /** The term as it is in the state; as it began, once it has left the state. */
  get #now(): Term {
    const term = termIn(this.#owner.life.phase);
    return term?.number === this.#begun.number ? term : this.#begun;
  }

  /** Why the term is over. Fires the signal first, so that a caller who learns of the end finds it fired. */
  #reason(): unknown {
    if (!this.signal.aborted) this.#owner.look();
    this.close('deadline');
    return this.signal.reason;
  }
}

/** Implements {@link LeadershipTerm.race}. */
export async function raceTerm<T>(
  term: Pick<LeadershipTerm, 'signal' | 'throwIfOver'>,
  work: GatedWork,
  operation: PromiseLike<T>,
): Promise<T> {
  // Counted even if the term is over: the operation is running. A failure after the end of the term is ignored.
  const settled = Promise.resolve(operation).finally(work.enter());
  settled.catch(() => undefined);
  term.throwIfOver();
  try {
    return await bounded({ signal: term.signal }, () => settled);
  } finally {
    // The signal is late if the event loop was blocked.
    term.throwIfOver();
  }
}

// Work

/** Counts the work that runs in the terms of an election, and reports when none is left. */
export class GatedWork {
  #running = 0;
  #onIdle: (() => void)[] = [];
  /** Terms that ended while work was running. */
  readonly #outlived = new Set<LeadershipTerm>();

  /** How many pieces of work run. */
  get running(): number {
    return this.#running;
  }

  /** Counts a piece of work that begins. Call the returned function when it has ended. */
  enter(): Disposer {
    this.#running += 1;
    let entered = true;
    return () => {
      if (!entered) return;
      entered = false;
      this.#running -= 1;
      if (this.#running === 0) this.#idle();
    };
  }

  /** Notes that `term` has ended. Its work may still run, and then a hand-over of a later term waits for it, too. */
  outlive(term: LeadershipTerm): void {
    if (this.#running > 0) this.#outlived.add(term);
  }

  /** Whether the calling code is work that a hand-over of `term` waits for. */
  isOfCaller(term: LeadershipTerm): boolean {
    return isInTerm(term) || [...this.#outlived].some(isInTerm);
  }

  /** Calls back once, in the caller's async context, as soon as no work runs; synchronously if none runs now. */
  whenIdle(callback: () => void): void {
    if (this.#running === 0) {
      callback();
      return;
    }
    const enter = captureContext();
    this.#onIdle.push(() => {
      enter(callback);
    });
  }

  #idle(): void {
    // Most calls end with nothing to do here, and clear() takes longer than all the rest of a gate.
    if (this.#outlived.size > 0) this.#outlived.clear();
    if (this.#onIdle.length === 0) return;
    for (const callback of this.#onIdle.splice(0)) callback();
  }
}

// What a piece of work threw

/** How many causes of an error are examined: they may form a cycle. */
const DEEPEST_CAUSE = 10;

/**
 * Whether `error` was caused by the end of a term: it is a `LEADER_TERM_OVER`, or has one among its causes, like the
 * `AbortError` that Node's timers, streams and events throw when the term's signal fires.
 *
 * With `term`, only the end of that term counts. Then an abort without a cause (from axios, or a client that drops the
 * signal's reason) counts, too, once the term is over. Never throws.
 */
export function isTermOver(error: unknown, term?: LeadershipTerm): boolean {
  const chain = causes(error);
  if (term === undefined) return chain.some((cause) => isLeaderError(cause, 'LEADER_TERM_OVER'));
  return term.isOver && (chain.includes(term.signal.reason) || (chain.length === 1 && isAbort(error)));
}

/** Compares name and code: an error from another realm, as in Jest, fails `instanceof`. */
function isAbort(error: unknown): boolean {
  const { name, code } = error as { name?: unknown; code?: unknown };
  return name === 'AbortError' || code === 'ERR_CANCELED';
}

/** The error, its cause, the cause of that, and so on. */
function causes(error: unknown): unknown[] {
  const chain: unknown[] = [];
  let next = error;
  while (next !== undefined && next !== null && chain.length < DEEPEST_CAUSE) {
    chain.push(next);
    next = (next as { cause?: unknown }).cause;
  }
  return chain;
}
