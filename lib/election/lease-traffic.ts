/**
 * All that goes between this process and the lease: requests go out beside the elector's loop, and what comes back,
 * through any channel, is noted in what is known of the lease and in when to ask next. Decides nothing.
 */
import type { ActiveTerm } from './active-term.js';
import type { Clock, MonotonicMs } from './clock.js';
import type { LeaseRequestError } from './errors.js';
import type { LeaseCall, LeaseLock, LeaseSnapshot, WatchEvent, WriteOutcome } from './lease-lock.js';
import type { LeaseRecord } from './lease-record.js';
import { releaseLease, type ReleaseOutcome } from './lease-release.js';
import { LeaseRequests, patienceFor, type Reply } from './lease-requests.js';
import { LeaseSight, type Sighting } from './lease-sight.js';
import type { WatchState } from './lease-watcher.js';
import type { ElectionMeter, RenewalOutcome } from './meter.js';
import { holderOf } from './observation.js';
import type { ResolvedElectionOptions } from './options.js';
import type { OwnRecords } from './own-records.js';
import { Pacing, type Sender } from './pacing.js';
import type { ProblemKind, Problems } from './problems.js';
import type { WriteAttempt } from './write-ledger.js';

/** What the traffic needs of the elector around it. */
export interface LeaseTrafficHost {
  readonly lock: LeaseLock;
  readonly clock: Clock;
  readonly options: ResolvedElectionOptions;
  readonly records: OwnRecords;
  /** The server says who is to hold the lease. */
  readonly coordinated: boolean;
  /** For how many milliseconds the own term is certain; undefined without one. */
  validFor(): number | undefined;
  /** Something was noted: decide anew. */
  step(): void;
  readonly measure: ElectionMeter;
  /** A write has succeeded. */
  proved(attempt: WriteAttempt): void;
  /** Is told which kinds of request fail. */
  readonly problems: Problems;
  failed(error: LeaseRequestError): void;
  /** A reply showed this version, so a watch should show it, too. */
  expect(resourceVersion: string): void;
}

/** See the head of the file. */
export class LeaseTraffic {
  readonly sight: LeaseSight;
  readonly pacing: Pacing;
  readonly #host: LeaseTrafficHost;
  readonly #requests: LeaseRequests;
  readonly #writesUnderWay = new Set<Promise<void>>();
  /** The holder that was seen last. */
  #lastLeader = '';

  constructor(host: LeaseTrafficHost) {
    this.#host = host;
    this.sight = new LeaseSight(host.options, host.clock, host.coordinated);
    this.pacing = new Pacing(host.clock, host.options);
    this.#requests = new LeaseRequests(host.clock);
  }

  // Asking

  read(): void {
    const sentAt = this.pacing.sends(this.#sender);
    void this.#send((call) => this.#host.lock.get(call)).then((reply) => {
      if (reply.ok) this.#onRead(reply.value, sentAt);
      else this.#onFailure('read', reply.error, sentAt);
      this.#host.step();
    });
  }

  /** A read beside the others, for whoever waits for its reply, which is noted like any. */
  async look(signal: AbortSignal | undefined): Promise<Reply<LeaseSnapshot | undefined>> {
    const sentAt = this.#host.clock.now();
    const reply = await this.#send((call) => this.#host.lock.get(call), signal);
    signal?.throwIfAborted();
    if (reply.ok) this.#onRead(reply.value, sentAt);
    this.#host.step();
    return reply;
  }

  /** Writes `record` on top of `base`, or the first record there is; `term`: what that is to extend, if not begin. */
  write(base: LeaseSnapshot | undefined, record: LeaseRecord, term: ActiveTerm | undefined): void {
    const { lock, clock } = this.#host;
    const sentAt = this.pacing.sends(this.#sender);
    const attempt: WriteAttempt = { base, record, term, sentAt, sentOn: clock.date() };
    this.sight.ledger.sent(attempt);
    const answered = this.#send((call) =>
      base === undefined ? lock.create(record, call) : lock.update(base, record, call),
    ).then((reply) => {
      this.#writesUnderWay.delete(answered);
      this.#onWritten(reply, attempt);
      this.#host.step();
    });
    this.#writesUnderWay.add(answered);
  }

  /** Leaves a note on another's lease that we would like to have it. @returns whether it was left. */
  async ask(): Promise<boolean> {
    const { lock, clock, options } = this.#host;
    const { observation, doubtful } = this.sight;
    if (doubtful || observation.kind !== 'present' || observation.mine || holderOf(observation) === '')
      return false;
    const { snapshot } = observation;
    const note: LeaseRecord = { ...snapshot.record, wantedBy: options.identity };
    const sentAt = clock.now();
    const reply = await this.#send((call) => lock.update(snapshot, note, call));
    if (reply.ok) this.#host.problems.succeeded('ask', sentAt);
    else this.#onFailure('ask', reply.error, sentAt);
    if (!reply.ok || reply.value.kind !== 'written') return false;
    this.#onStored(reply.value.snapshot, sentAt);
    this.#host.step();
    return true;
  }

  /** Gives the lease up, if it is ours, or may be through a write still unanswered. Voids all writes. */
  async release(): Promise<ReleaseOutcome> {
    const { sight } = this;
    const { lock, clock, options, records } = this.#host;
    const needed = sight.mayBeOurs;
    sight.ledger.voidAttempts();
    if (!needed) return { kind: 'notOurs' };
    // A claim under way decides whether there is anything to release. What is ours already is not waited for: a renewal that
    // hangs comes to nothing once the release is written.
    if (!sight.wasOurs) await Promise.all(this.#writesUnderWay);
    const outcome = await releaseLease({ lock, requests: this.#requests, clock, records, sight, options });
    if (outcome.kind === 'released') this.#onStored(outcome.stored, outcome.sentAt);
    if (outcome.kind === 'notOurs' && outcome.found !== undefined)
      this.#onRead(outcome.found.lease, outcome.found.sentAt);
    return outcome;
  }

  /** Gives up whatever is under way. */
  abortAll(): void {
    this.#requests.abortAll();
  }

  get #sender(): Sender {
    return { validFor: this.#host.validFor() };
  }

  #send<T>(request: (call: LeaseCall) => Promise<T>, signal?: AbortSignal): Promise<Reply<T>> {
    const patience = patienceFor(this.#sender.validFor ?? this.#host.options.renewDeadline);
    return this.#requests.send(patience, request, signal);
  }

  // Noting what came back

  onWatchEvent(event: Exclude<WatchEvent, { kind: 'opened' }>): void {
    const now = this.#host.clock.now();
    this.#onSighting(
      event.kind === 'seen'
        ? this.sight.toldOf(event.snapshot, now)
        : this.sight.toldOfDeletion(event.resourceVersion, now),
    );
    this.#host.step();
  }

  onWatchState(state: WatchState): void {
    this.pacing.watching(state === 'open', this.#sender);
    // One that opens tells what is there, but not that a Lease which was there is gone.
    if (state === 'open') this.sight.question();
    this.#host.step();
  }

  #onWritten(reply: Reply<WriteOutcome>, attempt: WriteAttempt): void {
    const wasDoubtful = this.sight.doubtful;
    this.#noteWritten(reply, attempt);
    if (attempt.term === undefined || isGivenUp(reply)) return;
    const { measure, clock } = this.#host;
    measure({ type: 'renewal', outcome: outcomeOf(reply), latencyMs: clock.now() - attempt.sentAt });
    // One that was refused without effect is counted as failed, and no more.
    const mayBeDone = reply.ok || reply.error.maybeCommitted;
    if (mayBeDone && this.sight.doubtful && !wasDoubtful) measure({ type: 'slowPath' });
  }

  #noteWritten(reply: Reply<WriteOutcome>, attempt: WriteAttempt): void {
    if (!reply.ok) {
      const { error } = reply;
      this.sight.failed(attempt, error);
      this.#onFailure('write', error, attempt.sentAt);
      this.pacing.writeFailed(attempt.sentAt, this.#sender);
      // Whether it was done is the first thing to know.
      if (this.sight.doubtful) this.pacing.hurry();
      return;
    }
    if (reply.value.kind === 'written') {
      this.#host.problems.succeeded('write', attempt.sentAt);
      this.#onStored(reply.value.snapshot, attempt.sentAt);
      return;
    }
    const inARow = this.sight.refused(attempt);
    if (inARow > 0) this.pacing.hurry(inARow);
  }

  #onRead(lease: LeaseSnapshot | undefined, sentAt: MonotonicMs): void {
    this.#host.problems.succeeded('read', sentAt);
    this.#onReply(lease, sentAt, this.sight.found(lease, sentAt, this.#host.clock.now()));
  }

  #onStored(lease: LeaseSnapshot, sentAt: MonotonicMs): void {
    this.#onReply(lease, sentAt, this.sight.written(lease, sentAt, this.#host.clock.now()));
  }

  #onReply(lease: LeaseSnapshot | undefined, sentAt: MonotonicMs, sighting: Sighting): void {
    this.pacing.answered(sentAt);
    this.#onSighting(sighting);
    if (lease !== undefined) this.#host.expect(lease.resourceVersion);
  }

  #onSighting(sighting: Sighting): void {
    if (sighting.kind === 'stale') return;
    if (sighting.moved) this.pacing.moved();
    const { observation } = this.sight;
    const released = observation.kind === 'present' && holderOf(observation) === '';
    if (released) this.pacing.joinCrowd();
    else this.pacing.hurry();
    this.#reviewProblems(sighting.proved);
    if (sighting.proved !== undefined) this.#host.proved(sighting.proved);
  }

  /** What is seen may show that a write has succeeded, or that no request of some kind is wanted now. */
  #reviewProblems(proved: WriteAttempt | undefined): void {
    const { problems, clock } = this.#host;
    const { observation, wasOurs } = this.sight;
    if (proved !== undefined) problems.succeeded('write', proved.sentAt);
    // What is known need not be asked for, unless it must be polled.
    if (this.#sender.validFor !== undefined || this.pacing.pollAt === undefined) problems.unwanted('read');
    const isAnothers = observation.kind === 'present' && !wasOurs && observation.heldUntil > clock.now();
    if (isAnothers) problems.unwanted('write');
    if (proved !== undefined || !wasOurs) problems.unwanted('release');
    const leader = holderOf(observation);
    if (leader !== this.#lastLeader) problems.unwanted('ask');
    this.#lastLeader = leader;
  }

  #onFailure(kind: ProblemKind, error: LeaseRequestError, sentAt: MonotonicMs): void {
    this.pacing.failed(error, sentAt, this.#sender);
    this.#host.problems.failed(kind, error, sentAt);
    this.#host.failed(error);
  }
}

function outcomeOf(reply: Reply<WriteOutcome>): RenewalOutcome {
  if (!reply.ok) return 'failed';
  return reply.value.kind === 'written' ? 'renewed' : 'conflict';
}

/** At the end of the run, by ourselves: that says nothing about the API server. */
function isGivenUp(reply: Reply<unknown>): boolean {
  return !reply.ok && reply.error.code === 'LEADER_STOPPED';
}
