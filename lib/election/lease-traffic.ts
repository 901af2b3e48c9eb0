/**
 * All that goes between this process and the lease: requests go out beside the elector's loop, and what comes back,
 * through any channel, is noted in what is known of the lease and in when to ask next. Decides nothing.
 */
import type { ActiveTerm } from './active-term.js';
import type { Clock, MonotonicMs } from './clock.js';
import { LeaseRequestError } from './errors.js';
import type { LeaseCall, LeaseLock, LeaseSnapshot, WatchEvent, WriteOutcome } from './lease-lock.js';
import type { LeaseRecord } from './lease-record.js';
import { releaseLease, type ReleaseOutcome } from './lease-release.js';
import { versionKeptInstead, writeRecord } from './kept-write.js';
import { LeaderRhythm } from './leader-rhythm.js';
import { LeaseRequests, isPassing, patienceFor, stopped, type Reply } from './lease-requests.js';
import { LeaseSight, type Sighting } from './lease-sight.js';
import type { ElectionMeter, RenewalOutcome } from './meter.js';
import { holderOf, versionOf } from './observation.js';
import type { ResolvedElectionOptions } from './options.js';
import type { OwnRecords } from './own-records.js';
import { Pacing, type Sender } from './pacing.js';
import type { Problems } from './problems.js';
import { SharedRead } from './shared-read.js';
import type { WatchState } from './watch-keeper.js';
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
  /** A reply showed this version, or no Lease, so a watch should show that, too. `overdue`: it should have by now. */
  expect(resourceVersion: string | undefined, overdue: boolean): void;
}

/** From how many conflicts in a row on they are told of: one or two are what others' edits and lost races leave. */
const TELL_CONFLICTS = 3;

/** See the head of the file. */
export class LeaseTraffic {
  readonly sight: LeaseSight;
  readonly pacing: Pacing;
  readonly rhythm: LeaderRhythm;
  readonly #host: LeaseTrafficHost;
  readonly #requests: LeaseRequests;
  /** Requests that the election does not make of itself: what becomes of their connections is nothing to its own. */
  readonly #besides: LeaseRequests;
  readonly #looks: SharedRead<LeaseSnapshot | undefined>;
  readonly #writesUnderWay = new Set<Promise<void>>();
  /** The version of what was made of the last write of ours that was not kept. Whoever it names, it is nobody's but ours. */
  #unkept: string | undefined;
  /** The holder that was seen last. */
  #lastLeader = '';

  constructor(host: LeaseTrafficHost) {
    this.#host = host;
    this.sight = new LeaseSight(host.options, host.clock, host.coordinated);
    this.pacing = new Pacing(host.clock, host.options);
    this.rhythm = new LeaderRhythm(host.options.renewInterval);
    this.#requests = new LeaseRequests(host.clock);
    this.#besides = new LeaseRequests(host.clock);
    this.#looks = new SharedRead(host.clock, this.pacing.resendAfterMs, () => this.#look());
  }

  // Asking

  read(): void {
    const inDoubt = this.sight.doubtful && this.#sender.validFor === undefined;
    const isOverdue = this.#isOverdue;
    const sentAt = this.pacing.sends('read', this.#sender);
    void this.#send((call) => this.#host.lock.get(call)).then((reply) => {
      if (reply.ok) {
        this.pacing.answered('read', sentAt);
        this.#hurry(this.#onRead(reply.value, sentAt, isOverdue));
      } else {
        // Somebody may have given up the lease.
        this.#onFailure('read', reply.error, sentAt, inDoubt && this.#mayRepeat('read', reply.error, sentAt));
      }
      this.#host.step();
    });
  }

  /**
   * What a read shows that is sent after this call, for whoever waits for it. It is noted like any, and changes nothing
   * about when the election's own requests go, or how.
   */
  look(): Promise<Reply<LeaseSnapshot | undefined>> {
    return this.#looks.ask();
  }

  /** Writes `record` on top of `base`, or the first record there is; `term`: what that is to extend, if not begin. */
  write(base: LeaseSnapshot | undefined, record: LeaseRecord, term: ActiveTerm | undefined): void {
    const { lock, clock } = this.#host;
    const sentAt = this.pacing.sends('write', this.#sender);
    const attempt: WriteAttempt = { base, record, term, sentAt, sentOn: clock.date() };
    this.sight.ledger.sent(attempt);
    const answered = this.#send((call) => writeRecord(lock, base, record, call)).then((reply) => {
      this.#writesUnderWay.delete(answered);
      this.#onWritten(reply, attempt);
      this.#host.step();
    });
    this.#writesUnderWay.add(answered);
  }

  /** Leaves a note on another's lease that we would like to have it. @returns whether it was left. */
  async ask(): Promise<boolean> {
    const { lock, clock, options, problems } = this.#host;
    const { observation, doubtful } = this.sight;
    if (doubtful || observation.kind !== 'present' || observation.mine || holderOf(observation) === '')
      return false;
    const { snapshot } = observation;
    const note: LeaseRecord = { ...snapshot.record, wantedBy: options.identity };
    const sentAt = clock.now();
    const reply = await this.#send((call) => writeRecord(lock, snapshot, note, call), this.#besides);
    if (reply.ok) problems.succeeded('ask', sentAt);
    else this.#tell('ask', reply.error, sentAt);
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
    this.#looks.abandon(stopped());
    this.#besides.abortAll();
    this.#requests.abortAll();
  }

  /** A watch is open, and should have told of a renewal by now. */
  get #isOverdue(): boolean {
    return (
      this.pacing.pollAt === undefined &&
      this.#host.clock.now() >= this.rhythm.silentAt(this.sight.observation)
    );
  }

  /** Whether there is anything to ask for: what is known need not be, unless it must be polled. */
  get #wantsReads(): boolean {
    const { observation, doubtful } = this.sight;
    if (doubtful || observation.kind === 'unseen') return true;
    return this.#sender.validFor === undefined && (this.pacing.pollAt !== undefined || this.#isOverdue);
  }

  get #sender(): Sender {
    return { validFor: this.#host.validFor() };
  }

  #send<T>(request: (call: LeaseCall) => Promise<T>, requests = this.#requests): Promise<Reply<T>> {
    const patience = patienceFor(this.#sender.validFor ?? this.#host.options.renewDeadline);
    return requests.send(patience, request);
  }

  async #look(): Promise<Reply<LeaseSnapshot | undefined>> {
    const sentAt = this.#host.clock.now();
    const reply = await this.#send((call) => this.#host.lock.get(call), this.#besides);
    if (reply.ok) this.#onRead(reply.value, sentAt);
    this.#host.step();
    return reply;
  }

  // Noting what came back

  onWatchEvent(event: Exclude<WatchEvent, { kind: 'opened' }>): void {
    const now = this.#host.clock.now();
    const sighting =
      event.kind === 'seen'
        ? this.sight.toldOf(event.snapshot, now)
        : this.sight.toldOfDeletion(event.resourceVersion, now);
    this.#onSighting(sighting, 'watch');
    this.#hurry(sighting);
    this.#host.step();
  }

  onWatchState(state: WatchState): void {
    this.pacing.watching(state === 'open', this.#sender);
    if (state === 'open') {
      this.rhythm.watchOpened(this.#host.clock.now());
      // It tells what is there, but not that a Lease which was there is gone.
      this.sight.question();
      this.pacing.hurryToLook();
    }
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
    const { sentAt, term } = attempt;
    if (!reply.ok) {
      this.#noteFailedWrite(reply.error, attempt);
    } else if (reply.value.kind === 'written') {
      this.pacing.answered('write', sentAt, term !== undefined);
      this.#host.problems.succeeded('write', sentAt);
      this.#hurry(this.#onStored(reply.value.snapshot, sentAt));
    } else {
      const inARow = this.pacing.conflicted(sentAt);
      this.sight.refused(attempt);
      this.#excuse();
      if (this.sight.doubtful) this.pacing.hurryToLook();
      if (inARow >= TELL_CONFLICTS) this.#tell('write', conflicts(this.#host.lock, inARow), sentAt);
    }
  }

  #noteFailedWrite(error: LeaseRequestError, attempt: WriteAttempt): void {
    const { sight, pacing } = this;
    const { sentAt, term } = attempt;
    this.#unkept = versionKeptInstead(error) ?? this.#unkept;
    // To make a claim again is the quickest way to find out: if it was carried out, the second is refused.
    const atOnce = term === undefined && this.#mayRepeat('write', error, sentAt);
    sight.failed(attempt, error, { lookAgain: !atOnce && !this.#wasLookedAtSince(sentAt) });
    this.#onFailure('write', error, sentAt, atOnce);
    // Whether it was done is the first thing to know.
    if (sight.doubtful) pacing.hurryToLook();
  }

  #wasLookedAtSince(sentAt: MonotonicMs): boolean {
    const { observation } = this.sight;
    return observation.kind !== 'unseen' && observation.seenAt > sentAt;
  }

  #mayRepeat(kind: 'read' | 'write', error: LeaseRequestError, sentAt: MonotonicMs): boolean {
    return isPassing(error) && this.pacing.mayRepeat(kind, sentAt);
  }

  /** @param overdue A watch was open, and should have told of it before. */
  #onRead(lease: LeaseSnapshot | undefined, sentAt: MonotonicMs, overdue = false): Sighting {
    this.#host.problems.succeeded('read', sentAt);
    return this.#onReply(lease, this.sight.found(lease, sentAt, this.#host.clock.now()), overdue);
  }

  #onStored(lease: LeaseSnapshot, sentAt: MonotonicMs): Sighting {
    return this.#onReply(lease, this.sight.written(lease, sentAt, this.#host.clock.now()), false);
  }

  #onReply(lease: LeaseSnapshot | undefined, sighting: Sighting, overdue: boolean): Sighting {
    this.#onSighting(sighting, 'reply');
    if (lease !== undefined || overdue) this.#host.expect(lease?.resourceVersion, overdue);
    return sighting;
  }

  #onSighting(sighting: Sighting, channel: 'watch' | 'reply'): void {
    if (sighting.kind === 'stale') return;
    const { observation } = this.sight;
    const record = observation.kind === 'present' ? observation.snapshot.record : undefined;
    this.rhythm.heard(record, this.#host.clock.now(), channel);
    this.#excuse();
    this.#reviewProblems(sighting.proved);
    if (sighting.proved !== undefined) this.#host.proved(sighting.proved);
  }

  /** What was seen may call for a request before its time. */
  #hurry(sighting: Sighting): void {
    if (sighting.kind === 'stale' || !sighting.moved) return;
    const { observation } = this.sight;
    const released = observation.kind === 'present' && holderOf(observation) === '';
    if (released) this.pacing.joinCrowd();
    else this.pacing.hurry();
  }

  /** Another holds the lease: what was refused before says nothing about the next claim. */
  #excuse(): void {
    const { observation } = this.sight;
    if (observation.kind !== 'present' || observation.mine || holderOf(observation) === '') return;
    if (observation.heldUntil > this.#host.clock.now()) this.pacing.lostRace();
  }

  /** What is seen may show that a write has succeeded, or that no request of some kind is wanted now. */
  #reviewProblems(proved: WriteAttempt | undefined): void {
    const { problems, clock } = this.#host;
    const { observation, wasOurs } = this.sight;
    if (proved !== undefined) problems.succeeded('write', proved.sentAt);
    if (!this.#wantsReads) problems.unwanted('read');
    const isAnothers = observation.kind === 'present' && !wasOurs && observation.heldUntil > clock.now();
    if (isAnothers && versionOf(observation) !== this.#unkept) problems.unwanted('write');
    if (proved !== undefined || !wasOurs) problems.unwanted('release');
    const leader = holderOf(observation);
    if (leader !== this.#lastLeader) problems.unwanted('ask');
    this.#lastLeader = leader;
  }

  #onFailure(kind: 'read' | 'write', error: LeaseRequestError, sentAt: MonotonicMs, atOnce = false): void {
    this.pacing.failed(kind, error, sentAt, this.#sender, atOnce);
    this.#tell(kind, error, sentAt);
  }

  #tell(kind: 'read' | 'write' | 'ask', error: LeaseRequestError, sentAt: MonotonicMs): void {
    if (kind !== 'read' || this.#wantsReads) this.#host.problems.failed(kind, error, sentAt);
    this.#host.failed(error);
  }
}

function conflicts(lock: LeaseLock, inARow: number): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_WRITE_CONFLICT',
    `${String(inARow)} writes of the lease ${lock.describe()} in a row were refused as conflicts (409), although each was ` +
      `based on what was read just before. It is tried again once a retryPeriod. Does something else write this Lease all ` +
      `the time (see its metadata.managedFields), or does a proxy answer reads from a cache?`,
    { maybeCommitted: false },
  );
}

function outcomeOf(reply: Reply<WriteOutcome>): RenewalOutcome {
  if (!reply.ok) return 'failed';
  return reply.value.kind === 'written' ? 'renewed' : 'conflict';
}

/** At the end of the run, by ourselves: that says nothing about the API server. */
function isGivenUp(reply: Reply<unknown>): boolean {
  return !reply.ok && reply.error.code === 'LEADER_STOPPED';
}
