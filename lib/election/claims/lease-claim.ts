import { LONG_AGO, type Clock, type Instant, type MonotonicMs } from '../clock.js';
import { decide } from '../decide.js';
import { LeaderError, asRequestError, type LeaseRequestError } from '../errors.js';
import {
  BEFORE_ALL_TIMES,
  nextTime,
  readLease,
  recordToAcquire,
  recordToRelease,
  recordToRenew,
  writeRecord,
  type LeaseLock,
  type LeaseRecord,
  type LeaseSnapshot,
  type MicroTime,
  type WriteOutcome,
} from '../lease.js';
import { heldUntil, holderIn, validFor, validityOf, type Validity } from '../observation.js';
import type { ResolvedElectionOptions } from '../options.js';
import { patienceFor } from '../pacing.js';
import { newRelease, nextOfRelease, releaseRead, releaseReadFailed, releaseWriteFailed } from '../release.js';
import { LeaseRequests, type Reply } from '../requests.js';
import {
  mayBeOurs,
  noSight,
  attemptConflicted,
  attemptFailed,
  attemptSent,
  ours,
  seeReply,
  seeWritten,
  voidAttempts,
  type Seen,
  type Sight,
  type WriteAttempt,
} from '../sight.js';
import { systemClock } from '../system-clock.js';
import { pause } from '../waiting.js';

/** The outcome of an attempt. */
export type ClaimOutcome =
  /** Certainly held for `remaining` milliseconds from now, unless a later answer shows otherwise. */
  | { readonly kind: 'held'; readonly fencingToken: bigint; readonly remaining: number }
  /** The lease is not held: `leader` holds it, or it has no holder and could not be acquired. It cannot be acquired before `expiresAt`, if set. */
  | { readonly kind: 'notHeld'; readonly leader: string; readonly expiresAt: MonotonicMs | undefined }
  /** A request failed and may have been committed. A lease that was held before is still held for `remaining()`. */
  | { readonly kind: 'unknown'; readonly error: LeaderError };

/** The parts of a {@link LeaseClaim}. */
export interface LeaseClaimParts {
  readonly lock: LeaseLock;
  /** From {@link resolveElectionOptions}. Used are `identity`, `leaseDuration`, `renewDeadline`, `lockDelay` and `reclaimOwnLease`. */
  readonly options: ResolvedElectionOptions;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
}

/** Options of one call. */
export interface ClaimCall {
  /** Gives up the attempt when it fires; the outcome is then unknown. */
  readonly signal?: AbortSignal | undefined;
}

interface Hold {
  readonly fencingToken: bigint;
  readonly validity: Validity;
}

/**
 * Acquires and renews a lease in single attempts, for callers that decide themselves when to attempt: a command line, a job
 * that runs once, a test. Everything else that a `LeaseElector` does (watch, renew in time, stop work, retry) is left to the
 * caller.
 *
 * It gives the same guarantees as the elector. A lease that is held is certain for `renewDeadline`, counted from before the
 * write that proved it was sent. Another holder is respected for the whole lease duration in its record, counted from when
 * this object first saw the record. So keep one object: a new one has seen nothing, and waits for a whole lease duration.
 */
export class LeaseClaim {
  readonly #lock: LeaseLock;
  readonly #options: ResolvedElectionOptions;
  readonly #clock: Clock;
  readonly #requests: LeaseRequests;
  #sight: Sight;
  #lastTime = BEFORE_ALL_TIMES;
  #hold: Hold | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ lock, options, clock = systemClock }: LeaseClaimParts) {
    this.#lock = lock;
    this.#options = options;
    this.#clock = clock;
    this.#requests = new LeaseRequests(clock);
    this.#sight = noSight(options);
  }

  /** How long the lease is certainly held, in milliseconds, unless a later reply shows otherwise; 0 if it is not held. Sends no request. */
  remaining(): number {
    return this.#hold === undefined
      ? 0
      : validFor(this.#hold.validity, this.#clock.now(), this.#clock.date());
  }

  /**
   * Makes one attempt: renews the lease if it is held, acquires it if that is allowed. Sends at most two reads and two writes,
   * and gives each up when half of the remaining time has passed. Concurrent calls run one after the other. Never throws,
   * never retries later.
   */
  tryAcquireOrRenew({ signal }: ClaimCall = {}): Promise<ClaimOutcome> {
    return this.#inTurn(() => this.#attempt(signal));
  }

  /** Releases the lease if it is held, trying for up to `renewDeadline`. Afterwards this object holds nothing, whatever the outcome. */
  release(): Promise<ClaimOutcome> {
    return this.#inTurn(() => this.#release());
  }

  /** Runs `call` after all earlier calls have ended, whatever their outcomes. */
  #inTurn(call: () => Promise<ClaimOutcome>): Promise<ClaimOutcome> {
    const turn = this.#last
      .then(call)
      .catch((error: unknown): ClaimOutcome => ({ kind: 'unknown', error: asRequestError(error) }));
    this.#last = turn;
    return turn;
  }

  async #attempt(signal: AbortSignal | undefined): Promise<ClaimOutcome> {
    // A lease that is held is renewed on top of the record seen last. If that has changed, a conflict tells.
    let problem = ours(this.#sight) === undefined ? await this.#look(signal) : undefined;
    for (let writes = 0; writes < 2 && problem === undefined; writes++) {
      const write = this.#nextWrite();
      if (write === undefined) break;
      const done = await this.#write(write, signal);
      if (done === 'written') break;
      problem = done === 'conflict' ? await this.#look(signal) : done;
    }
    return problem === undefined ? this.#outcome() : { kind: 'unknown', error: problem };
  }

  #outcome(): ClaimOutcome {
    const remaining = this.remaining();
    if (this.#hold !== undefined && remaining > 0)
      return { kind: 'held', fencingToken: this.#hold.fencingToken, remaining };
    const { observation } = this.#sight;
    const until = heldUntil(observation);
    return {
      kind: 'notHeld',
      leader: holderIn(observation),
      expiresAt: until === LONG_AGO ? undefined : until,
    };
  }

  #nextWrite(): { base: LeaseSnapshot | undefined; record: LeaseRecord } | undefined {
    const held = this.remaining() > 0 ? ours(this.#sight) : undefined;
    if (held !== undefined)
      return { base: held, record: recordToRenew(this.#options, held.record, this.#time()) };
    const { observation, doubtful } = this.#sight;
    const decision = decide({
      now: this.#clock.now(),
      observation,
      doubtful,
      notBefore: LONG_AGO,
      noWriteBefore: LONG_AGO,
      term: undefined,
      campaignAt: LONG_AGO,
      pollAt: undefined,
      stands: true,
      options: this.#options,
    });
    if (decision.do !== 'create' && decision.do !== 'takeOver') return undefined;
    const base = decision.do === 'takeOver' ? decision.base : undefined;
    const record = recordToAcquire(this.#options, base?.record, this.#time(), this.#clock.random());
    return { base, record };
  }

  async #look(signal: AbortSignal | undefined): Promise<LeaderError | undefined> {
    const reply = await this.#read(this.#patience(), signal);
    return reply.ok ? undefined : reply.error;
  }

  async #read(patienceMs: number, signal?: AbortSignal): Promise<Reply<LeaseSnapshot | undefined>> {
    const sentAt = this.#clock.now();
    const reply = await this.#requests.send(patienceMs, (call) => readLease(this.#lock, call), signal);
    if (reply.ok) this.#note(seeReply(this.#sight, reply.value, sentAt, this.#instant()));
    return reply;
  }

  async #write(
    { base, record }: { base: LeaseSnapshot | undefined; record: LeaseRecord },
    signal: AbortSignal | undefined,
  ): Promise<'written' | 'conflict' | LeaderError> {
    const { now: sentAt, date: sentOn } = this.#instant();
    const attempt: WriteAttempt = { base, record, term: undefined, sentAt, sentOn };
    this.#sight = attemptSent(this.#sight, attempt);
    const reply = await this.#send(base, record, this.#patience(), signal);
    if (!reply.ok) {
      this.#sight = attemptFailed(this.#sight, attempt, reply.error);
      return reply.error;
    }
    if (reply.value.kind === 'conflict') this.#sight = attemptConflicted(this.#sight, attempt);
    else this.#note(seeWritten(this.#sight, reply.value.snapshot, sentAt, this.#instant()));
    return reply.value.kind;
  }

  #send(
    base: LeaseSnapshot | undefined,
    record: LeaseRecord,
    patienceMs: number,
    signal?: AbortSignal,
  ): Promise<Reply<WriteOutcome>> {
    return this.#requests.send(patienceMs, (call) => writeRecord(this.#lock, base, record, call), signal);
  }

  #patience(): number {
    return patienceFor(this.remaining() || this.#options.renewDeadline);
  }

  #instant(): Instant {
    return { now: this.#clock.now(), date: this.#clock.date() };
  }

  #time(): MicroTime {
    this.#lastTime = nextTime(this.#lastTime, this.#clock.date(), this.#clock.random());
    return this.#lastTime;
  }

  /** Notes a sighting, which may prove that a write acquired or renewed the lease, or that it is lost. */
  #note({ sight, news }: Seen): void {
    this.#sight = sight;
    if (news === undefined) return;
    const held = ours(sight);
    if (held === undefined) {
      this.#hold = undefined;
    } else if (news.proved !== undefined) {
      const { sentAt, sentOn } = news.proved;
      // A new token, unless the lease was held without interruption.
      const fencingToken =
        this.#hold !== undefined && this.remaining() > 0
          ? this.#hold.fencingToken
          : BigInt(held.resourceVersion);
      this.#hold = { fencingToken, validity: validityOf(sentAt, sentOn, this.#options.renewDeadline) };
    }
  }

  async #release(): Promise<ClaimOutcome> {
    const isNeeded = mayBeOurs(this.#sight);
    this.#hold = undefined;
    this.#sight = voidAttempts(this.#sight);
    if (!isNeeded) return this.#outcome();
    let release = newRelease(this.#sight, this.#clock.now(), this.#options);
    for (;;) {
      const sentAt = this.#clock.now();
      const next = nextOfRelease(release, this.#sight, sentAt);
      switch (next.do) {
        case 'wait':
          await pause(this.#clock, next.until - sentAt);
          break;
        case 'read': {
          const reply = await this.#read(next.patienceMs);
          release = reply.ok
            ? releaseRead(release)
            : releaseReadFailed(release, reply.error, sentAt, this.#clock.now());
          break;
        }
        case 'write': {
          const record = recordToRelease(this.#options, next.base.record, this.#time());
          const reply = await this.#send(next.base, record, next.patienceMs);
          if (reply.ok && reply.value.kind === 'written') {
            this.#note(seeWritten(this.#sight, reply.value.snapshot, sentAt, this.#instant()));
            return this.#outcome();
          }
          const error = reply.ok ? undefined : reply.error;
          release = releaseWriteFailed(release, error, sentAt, this.#clock.now());
          break;
        }
        case 'leave':
          return this.#outcome();
        case 'giveUp':
          return this.#releaseFailed(release.problem);
      }
    }
  }

  #releaseFailed(cause: LeaseRequestError | undefined): ClaimOutcome {
    const message = `The release of '${this.#options.leaseName}' could not be confirmed. If it failed, the lease expires by itself.`;
    return { kind: 'unknown', error: new LeaderError('LEADER_RELEASE_FAILED', message, { cause }) };
  }
}
