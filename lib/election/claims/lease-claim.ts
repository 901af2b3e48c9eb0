/**
 * Takes and renews a lease by single attempts, for whoever decides for themself when to make one: a command line, a job
 * that runs once, a test. What `LeaseElector` does by itself (watching, renewing in time, stopping work, trying again) is
 * the caller's here.
 *
 * Guarantees: as the elector's. Held means certainly held, from before the write was sent that proved it, for
 * `renewDeadline`; the record of another holder is respected for as long as it says, from this object's first sight of it.
 * So make one object and keep it: a new one has seen nothing, and must wait for a whole lease.
 */
import { validityOf, type Validity } from '../active-term.js';
import { LONG_AGO, type Clock, type MonotonicMs } from '../clock.js';
import { decide } from '../decide.js';
import { LeaderError } from '../errors.js';
import { writeRecord } from '../kept-write.js';
import type { LeaseLock, LeaseSnapshot } from '../lease-lock.js';
import type { LeaseRecord } from '../lease-record.js';
import { releaseLease } from '../lease-release.js';
import { LeaseRequests, asRequestError, patienceFor } from '../lease-requests.js';
import { LeaseSight, type Sighting } from '../lease-sight.js';
import { holderOf } from '../observation.js';
import type { ResolvedElectionOptions } from '../options.js';
import { OwnRecords } from '../own-records.js';
import { SystemClock } from '../system-clock.js';
import type { WriteAttempt } from '../write-ledger.js';

/** What came of an attempt. */
export type ClaimOutcome =
  /** Certainly held for `remaining` milliseconds from now, if nothing more is heard. */
  | { readonly kind: 'held'; readonly fencingToken: bigint; readonly remaining: number }
  /** Another holds it, or nobody and it was not to be had; `expiresAt` on the monotonic clock, if it must be waited for. */
  | { readonly kind: 'notHeld'; readonly leader: string; readonly expiresAt: MonotonicMs | undefined }
  /** A request failed, and may have been carried out. What was certain before still is, for `remaining()`. */
  | { readonly kind: 'unknown'; readonly error: LeaderError };

/** What a {@link LeaseClaim} is made of. */
export interface LeaseClaimParts {
  readonly lock: LeaseLock;
  /** From {@link resolveElectionOptions}. `identity`, `leaseDuration`, `renewDeadline`, `lockDelay`, `reclaimOwnLease` count. */
  readonly options: ResolvedElectionOptions;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
}

/** How one call is to be made. */
export interface ClaimCall {
  /** Gives up the attempt; its outcome is then unknown. */
  readonly signal?: AbortSignal | undefined;
}

interface Hold {
  readonly fencingToken: bigint;
  readonly validity: Validity;
}

/** See the head of the file. */
export class LeaseClaim {
  readonly #lock: LeaseLock;
  readonly #options: ResolvedElectionOptions;
  readonly #clock: Clock;
  readonly #records: OwnRecords;
  readonly #sight: LeaseSight;
  readonly #requests: LeaseRequests;
  #hold: Hold | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ lock, options, clock = new SystemClock() }: LeaseClaimParts) {
    this.#lock = lock;
    this.#options = options;
    this.#clock = clock;
    this.#records = new OwnRecords(options, clock);
    this.#sight = new LeaseSight(options, clock);
    this.#requests = new LeaseRequests(clock);
  }

  /** For how many milliseconds the lease is certainly held, if nothing more is heard; 0: it is not. Asks nobody. */
  remaining(): number {
    if (this.#hold === undefined) return 0;
    const { until, untilDate } = this.#hold.validity;
    return Math.max(Math.min(until - this.#clock.now(), untilDate - this.#clock.date()), 0);
  }

  /**
   * One attempt: renews the lease if it is held, takes it if it may be had. At most two reads and two writes, each given up
   * when half of what is left has passed. Calls at one time are made one after the other. Never throws, never retries later.
   */
  tryAcquireOrRenew({ signal }: ClaimCall = {}): Promise<ClaimOutcome> {
    return this.#inTurn(() => this.#attempt(signal));
  }

  /** Gives the lease up if it is held, trying for up to `renewDeadline`. Afterwards this object holds nothing, whatever came of it. */
  release(): Promise<ClaimOutcome> {
    return this.#inTurn(() => this.#release());
  }

  /** After the calls before it, whatever became of them. */
  #inTurn(call: () => Promise<ClaimOutcome>): Promise<ClaimOutcome> {
    const turn = this.#last
      .then(call)
      .catch((error: unknown): ClaimOutcome => ({ kind: 'unknown', error: asRequestError(error) }));
    this.#last = turn;
    return turn;
  }

  async #attempt(signal: AbortSignal | undefined): Promise<ClaimOutcome> {
    // What is held is renewed on top of what was seen last; a conflict tells if that was not the last.
    let problem = this.#sight.ours === undefined ? await this.#look(signal) : undefined;
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
    const heldUntil = observation.kind === 'unseen' ? LONG_AGO : observation.heldUntil;
    const expiresAt = heldUntil === LONG_AGO ? undefined : heldUntil;
    return { kind: 'notHeld', leader: holderOf(observation), expiresAt };
  }

  #nextWrite(): { base: LeaseSnapshot | undefined; record: LeaseRecord } | undefined {
    const { ours, observation, doubtful } = this.#sight;
    if (ours !== undefined && this.remaining() > 0)
      return { base: ours, record: this.#records.toRenew(ours.record) };
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
    if (decision.do === 'create') return { base: undefined, record: this.#records.toAcquire(undefined) };
    if (decision.do !== 'takeOver') return undefined;
    return { base: decision.base, record: this.#records.toAcquire(decision.base.record) };
  }

  async #look(signal: AbortSignal | undefined): Promise<LeaderError | undefined> {
    const sentAt = this.#clock.now();
    const reply = await this.#requests.send(this.#patience(), (call) => this.#lock.get(call), signal);
    if (!reply.ok) return reply.error;
    this.#note(this.#sight.found(reply.value, sentAt, this.#clock.now()));
    return undefined;
  }

  async #write(
    { base, record }: { base: LeaseSnapshot | undefined; record: LeaseRecord },
    signal: AbortSignal | undefined,
  ): Promise<'written' | 'conflict' | LeaderError> {
    const [sentAt, sentOn] = [this.#clock.now(), this.#clock.date()];
    const attempt: WriteAttempt = { base, record, term: undefined, sentAt, sentOn };
    this.#sight.ledger.sent(attempt);
    const reply = await this.#requests.send(
      this.#patience(),
      (call) => writeRecord(this.#lock, base, record, call),
      signal,
    );
    if (!reply.ok) {
      this.#sight.failed(attempt, reply.error);
      return reply.error;
    }
    if (reply.value.kind === 'conflict') this.#sight.refused(attempt);
    else this.#note(this.#sight.written(reply.value.snapshot, sentAt, this.#clock.now()));
    return reply.value.kind;
  }

  #patience(): number {
    return patienceFor(this.remaining() || this.#options.renewDeadline);
  }

  /** What was seen proves the lease ours by a write, leaves it ours, or takes it away. */
  #note(sighting: Sighting): void {
    if (sighting.kind === 'stale') return;
    const { ours } = this.#sight;
    if (ours === undefined) {
      this.#hold = undefined;
    } else if (sighting.proved !== undefined) {
      const { sentAt, sentOn } = sighting.proved;
      // A new token, unless it was certain all the while.
      const fencingToken =
        this.#hold !== undefined && this.remaining() > 0
          ? this.#hold.fencingToken
          : BigInt(ours.resourceVersion);
      this.#hold = { fencingToken, validity: validityOf(sentAt, sentOn, this.#options.renewDeadline) };
    }
  }

  async #release(): Promise<ClaimOutcome> {
    const needed = this.#sight.mayBeOurs;
    this.#hold = undefined;
    this.#sight.ledger.voidAttempts();
    if (!needed) return this.#outcome();
    const outcome = await releaseLease({
      lock: this.#lock,
      requests: this.#requests,
      clock: this.#clock,
      records: this.#records,
      sight: this.#sight,
      options: this.#options,
    });
    if (outcome.kind === 'unknown') {
      const message = `The release of '${this.#options.leaseName}' could not be made sure of. It runs out by itself.`;
      return {
        kind: 'unknown',
        error: new LeaderError('LEADER_RELEASE_FAILED', message, { cause: outcome.error }),
      };
    }
    const now = this.#clock.now();
    if (outcome.kind === 'released') this.#sight.written(outcome.stored, outcome.sentAt, now);
    else if (outcome.found !== undefined) this.#sight.found(outcome.found.lease, outcome.found.sentAt, now);
    return this.#outcome();
  }
}
