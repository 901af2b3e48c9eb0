/**
 * One process' part in an election on a lease: the loop around `decide`.
 *
 * Guarantees: a term begins only through a conditional write whose success was seen, and is certain from
 * before that write was sent for `renewDeadline`, which is shorter than what others must wait; it ends at the
 * first sign of loss; no failure of the API server ends the campaign. Not guaranteed: that work which ignores
 * both signal and token stops. Clocks: durations on the monotonic clock only; the wall clock can end a term,
 * never lengthen one. Rules: design.md §4.
 *
 * Everything that happens (a reply, a watch event, the alarm, a call) is first noted, then `#step` decides anew.
 * Requests run beside the loop and are never waited for in it.
 */
import { validityOf, type ActiveTerm } from './active-term.js';
import { Alarm } from './alarm.js';
import { LONG_AGO, after, type Clock, type MonotonicMs } from './clock.js';
import { decide, type Decision } from './decide.js';
import { describePhase } from './describe-phase.js';
import type { ElectionObserver, Elector, ElectorState, StepDownOptions } from './elector.js';
import { LeaderError, type LeaseRequestError } from './errors.js';
import type { LeaseLock, LeaseSnapshot, WatchEvent, WriteOutcome } from './lease-lock.js';
import type { LeaseRecord } from './lease-record.js';
import { releaseLease, type ReleaseOutcome } from './lease-release.js';
import { LeaseRequests, patienceFor, type Reply } from './lease-requests.js';
import { LeaseSight, type Sighting } from './lease-sight.js';
import { LeaseWatcher, type WatchState } from './lease-watcher.js';
import { holderOf } from './observation.js';
import type { ResolvedElectionOptions } from './options.js';
import { OwnRecords } from './own-records.js';
import { Pacing, type Sender } from './pacing.js';
import { Phases, type Phase } from './phases.js';
import { SystemClock } from './system-clock.js';
import type { WriteAttempt } from './write-ledger.js';

/** What a {@link LeaseElector} is made of. */
export interface LeaseElectorParts {
  readonly lock: LeaseLock;
  /** From {@link resolveElectionOptions}. */
  readonly options: ResolvedElectionOptions;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock;
}

/** Takes part in the election on one Lease. See the head of the file for what it guarantees. */
export class LeaseElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  readonly #lock: LeaseLock;
  readonly #options: ResolvedElectionOptions;
  readonly #clock: Clock;
  readonly #sight: LeaseSight;
  readonly #records: OwnRecords;
  readonly #requests: LeaseRequests;
  readonly #pacing: Pacing;
  readonly #watcher: LeaseWatcher;
  readonly #alarm: Alarm;
  readonly #phases: Phases;
  readonly #writesUnderWay = new Set<Promise<void>>();
  #toldLeader = '';
  #onStopped: () => void = () => undefined;

  constructor({ lock, options, clock = new SystemClock() }: LeaseElectorParts) {
    this.leaseName = options.leaseName;
    this.identity = options.identity;
    this.#lock = lock;
    this.#options = options;
    this.#clock = clock;
    this.#sight = new LeaseSight(options.identity, options.leaseDuration);
    this.#records = new OwnRecords(options, clock);
    this.#requests = new LeaseRequests(clock);
    this.#pacing = new Pacing(clock, options);
    this.#alarm = new Alarm(clock, () => {
      this.#step();
    });
    this.#watcher = new LeaseWatcher(lock, clock, options.retryPeriod, {
      onEvent: (event) => {
        this.#onWatchEvent(event);
      },
      onStateChange: (state) => {
        this.#onWatchState(state);
      },
      onError: (error) => {
        this.#phases.tell({ type: 'error', error });
      },
    });
    this.#phases = new Phases({
      clock,
      options,
      describe: (phase) => this.#describe(phase),
      wake: () => {
        this.#step();
      },
      voidWrites: () => {
        this.#sight.ledger.voidAttempts();
      },
      release: () => this.#release(),
      confirm: (term, signal) => this.#confirm(term, signal),
      stopped: () => {
        this.#stop();
      },
    });
  }

  /** What it is doing. Looking checks the clocks first: a term that ran out is never shown. */
  get state(): ElectorState {
    return this.#describe(this.#phases.current);
  }

  async run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    this.#phases.start(observer);
    const stopped = new Promise<void>((resolve) => {
      this.#onStopped = resolve;
    });
    const leave = (): void => {
      this.#phases.leave();
    };
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) {
      leave();
    } else {
      this.#watcher.start();
      this.#step();
    }
    await stopped;
    signal.removeEventListener('abort', leave);
  }

  stepDown(options: StepDownOptions = {}): Promise<void> {
    return this.#phases.handOver('steppedDown', options.cooldown ?? this.#options.retryPeriod);
  }

  #describe(phase: Phase): ElectorState {
    const { observation } = this.#sight;
    const heldUntil = observation.kind === 'unseen' ? LONG_AGO : observation.heldUntil;
    return describePhase(phase, {
      leader: holderOf(observation),
      expiresAt: heldUntil === LONG_AGO ? undefined : heldUntil,
      error: this.#pacing.problem,
    });
  }

  // Deciding

  #step(): void {
    for (;;) {
      const term = this.#phases.heldTerm;
      if (term === undefined && this.#phases.current.kind !== 'following') return;
      const decision = this.#decide(term);
      if (decision.do === 'wait') {
        this.#alarm.set(decision.until);
        this.#tellLeader();
        return;
      }
      this.#act(decision, term);
    }
  }

  #decide(term: ActiveTerm | undefined): Decision {
    const { renewDeadline, renewInterval, termLimit } = this.#options;
    const limited = termLimit > 0 && this.#phases.current.kind === 'leading';
    return decide({
      now: this.#clock.now(),
      observation: this.#sight.observation,
      doubtful: this.#sight.doubtful,
      notBefore: this.#pacing.notBefore,
      noWriteBefore: this.#pacing.noWriteBefore,
      campaignAt: this.#phases.campaignAt,
      pollAt: this.#pacing.pollAt,
      options: this.#options,
      term: term && {
        renewAt: after(this.#clock.now(), term.validFor() + renewInterval - renewDeadline),
        limitAt: limited ? after(term.beganAt, termLimit) : undefined,
      },
    });
  }

  #act(decision: Exclude<Decision, { do: 'wait' }>, term: ActiveTerm | undefined): void {
    switch (decision.do) {
      case 'read':
        this.#read();
        return;
      case 'create':
        this.#write(undefined, this.#records.toAcquire(undefined), term);
        return;
      case 'takeOver':
        this.#write(decision.base, this.#records.toAcquire(decision.base.record), term);
        return;
      case 'renew':
        this.#write(decision.base, this.#records.toRenew(decision.base.record), term);
        return;
      case 'handOver':
        void this.#phases.handOver(decision.reason, this.#options.retryPeriod);
        return;
      case 'yield':
        this.#phases.lose(decision.reason);
        return;
    }
  }

  // Asking

  #read(): void {
    const sentAt = this.#pacing.sends(this.#sender);
    void this.#requests
      .send(this.#patience(), (call) => this.#lock.get(call))
      .then((reply) => {
        if (reply.ok) this.#onFound(reply.value, sentAt);
        else this.#onFailure(reply.error, sentAt);
        this.#step();
      });
  }

  #write(base: LeaseSnapshot | undefined, record: LeaseRecord, term: ActiveTerm | undefined): void {
    const sentAt = this.#pacing.sends(this.#sender);
    const attempt: WriteAttempt = { base, record, term, sentAt, sentOn: this.#clock.date() };
    this.#sight.ledger.sent(attempt);
    const answered = this.#requests
      .send(this.#patience(), (call) =>
        base === undefined ? this.#lock.create(record, call) : this.#lock.update(base, record, call),
      )
      .then((reply) => {
        this.#writesUnderWay.delete(answered);
        this.#onWritten(reply, attempt);
        this.#step();
      });
    this.#writesUnderWay.add(answered);
  }

  get #sender(): Sender {
    return { validFor: this.#phases.heldTerm?.validFor() };
  }

  #patience(): number {
    return patienceFor(this.#sender.validFor ?? this.#options.renewDeadline);
  }

  // Noting what came back

  #onWritten(reply: Reply<WriteOutcome>, attempt: WriteAttempt): void {
    if (!reply.ok) {
      const { error } = reply;
      if (error.maybeCommitted) this.#sight.doubt(attempt);
      else this.#sight.ledger.refused(attempt);
      this.#onFailure(error, attempt.sentAt);
      this.#pacing.writeFailed(attempt.sentAt, this.#sender);
      // Whether it was done is the first thing to know.
      if (this.#sight.doubtful) this.#pacing.hurry();
      return;
    }
    if (reply.value.kind === 'written') {
      this.#onFound(reply.value.snapshot, attempt.sentAt);
      return;
    }
    const inARow = this.#sight.refused(attempt);
    if (inARow > 0) this.#pacing.hurry(inARow);
  }

  #onFound(lease: LeaseSnapshot | undefined, sentAt: MonotonicMs): void {
    const recovered = this.#pacing.problem !== undefined;
    this.#pacing.answered(sentAt);
    if (recovered) this.#phases.tell({ type: 'stateChanged', state: this.state });
    this.#onSighting(this.#sight.found(lease, sentAt, this.#clock.now()));
    if (lease !== undefined) this.#watcher.expect(lease.resourceVersion);
  }

  #onWatchEvent(event: Exclude<WatchEvent, { kind: 'opened' }>): void {
    const now = this.#clock.now();
    this.#onSighting(
      event.kind === 'seen'
        ? this.#sight.toldOf(event.snapshot, now)
        : this.#sight.toldOfDeletion(event.resourceVersion, now),
    );
    this.#step();
  }

  #onSighting(sighting: Sighting): void {
    if (sighting.kind === 'stale') return;
    if (sighting.moved) this.#pacing.moved();
    const { observation } = this.#sight;
    const released = observation.kind === 'present' && holderOf(observation) === '';
    if (released) this.#pacing.joinCrowd();
    else this.#pacing.hurry();
    if (sighting.proved !== undefined) this.#onProved(sighting.proved);
  }

  #tellLeader(): void {
    const leader = holderOf(this.#sight.observation);
    if (leader === this.#toldLeader) return;
    this.#toldLeader = leader;
    this.#phases.tell({ type: 'newLeader', identity: leader });
  }

  /** A write succeeded: it begins or extends the term it was for, by the stamp taken before it was sent. */
  #onProved(attempt: WriteAttempt): void {
    const { observation } = this.#sight;
    const term = this.#phases.heldTerm;
    if (observation.kind !== 'present' || attempt.term !== term) return;
    const validity = validityOf(attempt.sentAt, attempt.sentOn, this.#options.renewDeadline);
    if (term !== undefined) {
      term.extend(validity);
      return;
    }
    const stillCertain = this.#clock.now() < validity.until && this.#clock.date() < validity.untilDate;
    if (this.#phases.current.kind !== 'following' || !stillCertain) return;
    this.#phases.begin({ fencingToken: BigInt(observation.snapshot.resourceVersion), validity });
  }

  #onFailure(error: LeaseRequestError, sentAt: MonotonicMs): void {
    this.#pacing.failed(error, sentAt, this.#sender);
    this.#phases.tell({ type: 'error', error });
  }

  #onWatchState(state: WatchState): void {
    this.#pacing.watching(state === 'open', this.#sender);
    // One that opens tells what is there, but not that a Lease which was there is gone.
    if (state === 'open') this.#sight.question();
    this.#step();
  }

  // Proving and ending

  async #confirm(term: ActiveTerm, signal: AbortSignal | undefined): Promise<void> {
    const sentAt = this.#clock.now();
    const reply = await this.#requests.send(this.#patience(), (call) => this.#lock.get(call), signal);
    signal?.throwIfAborted();
    if (reply.ok) this.#onFound(reply.value, sentAt);
    this.#step();
    // What was seen may have ended the term; whoever asked finds that out by looking at it.
    if (term.isOver || (reply.ok && this.#sight.ours !== undefined)) return;
    throw new LeaderError(
      'LEADER_UNCONFIRMED',
      `Whether '${this.leaseName}' is still held could not be read.` +
        (reply.ok ? ' It changed meanwhile; ask again.' : ` ${reply.error.message}`),
      reply.ok ? undefined : { cause: reply.error },
    );
  }

  async #release(): Promise<ReleaseOutcome> {
    const sight = this.#sight;
    const needed = sight.ours !== undefined || sight.doubtful || sight.ledger.waiting;
    sight.ledger.voidAttempts();
    if (!needed) return { kind: 'notOurs' };
    // Without a term, a claim under way decides whether there is anything to release.
    if (sight.ours === undefined) await Promise.all(this.#writesUnderWay);
    const outcome = await releaseLease(sight.ours, {
      lock: this.#lock,
      requests: this.#requests,
      clock: this.#clock,
      recordFor: (current) => this.#records.toRelease(current),
      isOurs: (record) => sight.isOurs(record),
      timeLimit: this.#timeToRelease(),
      retryPeriod: this.#options.retryPeriod,
    });
    if (outcome.kind === 'released') this.#onFound(outcome.snapshot, this.#clock.now());
    if (outcome.kind === 'notOurs' && outcome.found !== undefined)
      this.#onFound(outcome.found.lease, outcome.found.sentAt);
    return outcome;
  }

  /** No longer than the lease lasts without us: then it is free anyway. */
  #timeToRelease(): number {
    const { renewDeadline, retryPeriod } = this.#options;
    const { observation } = this.#sight;
    if (observation.kind !== 'present' || !observation.mine) return renewDeadline;
    const left = observation.heldUntil - this.#clock.now();
    return Math.min(Math.max(left, retryPeriod), renewDeadline);
  }

  #stop(): void {
    this.#alarm.clear();
    this.#watcher.stop();
    this.#requests.abortAll();
    this.#tellLeader();
    this.#onStopped();
  }
}
