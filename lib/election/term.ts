/**
 * A term, as users hold it: what it promises, the handle that keeps the promise, the work that runs in it, and how to tell what
 * a piece of work threw because its term ended.
 */
import { captureContext, isInTerm } from './current-term.js';
import type { Clock, Disposer, WallMs } from './clock.js';
import { TermOverError, isLeaderError } from './errors.js';
import { isOpen, termIn, type Life, type Term } from './life.js';
import { validFor } from './observation.js';
import { bounded } from './waiting.js';

/**
 * Why a term ended. A closed set:
 * - `released`: the lease was seen with no holder, emptied by somebody else
 * - `deadline`: it could not be renewed in time, or the process did not run for that long
 * - `superseded`: another holder was seen in the lease
 * - `leaseGone`: the Lease was deleted
 * - `termLimit`: `termLimit` was reached
 * - `steppedDown`: handed over on request, because the task of `runAsLeader` had ended, or because this process does not
 *   want to lead any more: it is not ready, or another is preferred
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
   * Fires when the term's work must stop: at the start of a hand-over, when the lease is seen lost, and when the validity
   * has run out. For that it has a timer, so it fires a moment after that instant (milliseconds, more while the event loop
   * is blocked), or at the first `throwIfOver()`, `enter()` or `race()` that finds the term over. `isOver` and
   * `throwIfOver()` are exact. Others lead no earlier than leaseDuration − renewDeadline later. Its `reason` is a
   * `TermOverError`.
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

// The handle

/** What a handle asks of whoever runs the election. */
export interface TermOwner {
  readonly clock: Clock;
  readonly leaseName: string;
  readonly identity: string;
  /** Counts what runs in any of the owner's terms. */
  readonly work: GatedWork;
  readonly life: Life;
  /** Looks at the clocks, and ends a term that has run out. */
  look(): void;
  /** One read that proves the lease ours, or ends the term, or throws. */
  confirm(term: LeadershipTerm, signal: AbortSignal | undefined): Promise<void>;
}

/** The handle on a term. While the term lasts, what it answers follows from the election's state and the clocks. */
export class TermHandle implements LeadershipTerm {
  readonly leaseName: string;
  readonly identity: string;
  readonly slot: number;
  readonly startedAt: WallMs;
  /** No field of the object's own: whoever copies those to send them as JSON (class-transformer does) would fail on a bigint. */
  readonly #begun: Term;
  readonly #owner: TermOwner;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  /** When it was renewed last; undefined while it lasts. */
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

  /** It is over, and is not renewed any more. */
  end(renewedAt: WallMs): void {
    this.#renewedAt = renewedAt;
  }

  /** Fires the signal, if it has not fired: work must stop. */
  close(reason: TermEndReason): void {
    if (!this.signal.aborted) this.#controller.abort(new TermOverError(this.leaseName, reason));
  }

  /** The term as it is in the state; as it began, once it is not there any more. */
  get #now(): Term {
    const term = termIn(this.#owner.life.phase);
    return term?.number === this.#begun.number ? term : this.#begun;
  }

  /** Why it is over. Whoever is told so finds that the signal has fired. */
  #reason(): unknown {
    if (!this.signal.aborted) this.#owner.look();
    this.close('deadline');
    return this.signal.reason;
  }
}

/** Settles as `operation` does, or as the term's signal as soon as the term is over; work of the term until it settles. */
export async function raceTerm<T>(
  term: Pick<LeadershipTerm, 'signal' | 'throwIfOver'>,
  work: GatedWork,
  operation: PromiseLike<T>,
): Promise<T> {
  // Whether the term is over or not: what has begun runs. After the end of the term its failure is nobody's.
  const settled = Promise.resolve(operation).finally(work.enter());
  settled.catch(() => undefined);
  term.throwIfOver();
  try {
    return await bounded({ signal: term.signal }, () => settled);
  } finally {
    // The signal may be late, where the event loop was blocked.
    term.throwIfOver();
  }
}

// Work

/** Counts the work that runs in the terms of an election, and tells when there is none left. */
export class GatedWork {
  #running = 0;
  #onIdle: (() => void)[] = [];
  /** Terms that ended while something ran, perhaps work of theirs that still does. */
  readonly #outlived = new Set<LeadershipTerm>();

  /** How many pieces of work run. */
  get running(): number {
    return this.#running;
  }

  /** A piece of work begins. Call the returned function when it has ended. */
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

  /** That term has ended. Its work may run on, and is waited for by a hand-over of a later one, too. */
  outlive(term: LeadershipTerm): void {
    if (this.#running > 0) this.#outlived.add(term);
  }

  /** Whether the code that runs at the moment is work that a hand-over of `term` waits for. */
  isOfCaller(term: LeadershipTerm): boolean {
    return isInTerm(term) || [...this.#outlived].some(isInTerm);
  }

  /** Calls back once, as soon as nothing runs: at once if that is so now. In the async context of whoever calls this. */
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
    const callbacks = this.#onIdle;
    this.#onIdle = [];
    this.#outlived.clear();
    for (const callback of callbacks) callback();
  }
}

// What a piece of work threw

/** An error's causes are looked through this far: they may form a circle. */
const DEEPEST_CAUSE = 10;

/**
 * Whether `error` came of the end of a term: it is a `LEADER_TERM_OVER`, or has one among its causes, as the `AbortError`
 * has that Node's timers, streams and events throw when the term's signal fires.
 *
 * With `term`: of that term, and no other. Then an abort that does not say what it came of (axios, clients that drop the
 * signal's reason) counts, too, once the term's signal has fired. Never throws.
 */
export function isTermOver(error: unknown, term?: LeadershipTerm): boolean {
  const chain = causes(error);
  if (term === undefined) return chain.some((cause) => isLeaderError(cause, 'LEADER_TERM_OVER'));
  return term.isOver && (chain.includes(term.signal.reason) || (chain.length === 1 && isAbort(error)));
}

/** By name and code: another realm's error, as in Jest, is no instance of this one's classes. */
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
