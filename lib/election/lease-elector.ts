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
import { ALWAYS, type Candidacy } from './candidacy.js';
import { LONG_AGO, NEVER, after, earlier, type Clock, type Disposer, type MonotonicMs } from './clock.js';
import type { Coordination } from './coordination.js';
import { decide, type Decision } from './decide.js';
import { describePhase } from './describe-phase.js';
import {
  cooldownIn,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type StepDownOptions,
} from './elector.js';
import { LeaderError } from './errors.js';
import type { GatedWork } from './gated-work.js';
import type { LeaseLock } from './lease-lock.js';
import type { ReleaseOutcome } from './lease-release.js';
import { LeaseTraffic } from './lease-traffic.js';
import { longLease } from './long-lease.js';
import { holderOf } from './observation.js';
import type { ResolvedElectionOptions } from './options.js';
import { takeoverOf, type ElectionMeter } from './meter.js';
import { OwnRecords } from './own-records.js';
import { termOf, type Phase } from './phase.js';
import { Phases, type PhasesHost } from './phases.js';
import { Problems } from './problems.js';
import { Standing } from './standing.js';
import { SystemClock } from './system-clock.js';
import type { TermGuard } from './term-guard.js';
import { untilAborted } from './until-aborted.js';
import { WatchKeeper } from './watch-keeper.js';
import type { WriteAttempt } from './write-ledger.js';

/** What a {@link LeaseElector} is made of. */
export interface LeaseElectorParts {
  readonly lock: LeaseLock;
  /** From {@link resolveElectionOptions}. */
  readonly options: ResolvedElectionOptions;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
  /** Whether this process wants to lead. Default: always. */
  readonly candidacy?: Candidacy | undefined;
  /** What is done around every term. Default: nothing. */
  readonly guard?: TermGuard | undefined;
  /** For an election in which the server says who is to hold the lease. Default: none, it is claimed. */
  readonly coordination?: Coordination | undefined;
  /** Of which slot, for {@link SlotElector}. Default 0. */
  readonly slot?: number | undefined;
  /** Is told what is worth a figure. Default: none. */
  readonly meter?: ElectionMeter | undefined;
  /** @internal What runs in its terms. */
  readonly work?: GatedWork | undefined;
}

/** Takes part in the election on one Lease. See the head of the file for what it guarantees. */
export class LeaseElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  readonly #options: ResolvedElectionOptions;
  readonly #clock: Clock;
  readonly #standing: Standing;
  readonly #slot: number;
  readonly #records: OwnRecords;
  readonly #traffic: LeaseTraffic;
  readonly #watcher: WatchKeeper;
  readonly #alarm: Alarm;
  readonly #phases: Phases;
  readonly #problems = new Problems(() => {
    this.#phases.tell({ type: 'stateChanged', state: this.state });
  });
  #toldLeader = '';
  /** That whoever holds the lease is to be waited for far too long, as it was told. */
  #longLease: LeaderError | undefined;
  #onStopped: () => void = () => undefined;

  constructor(parts: LeaseElectorParts) {
    const { lock, options, clock = new SystemClock(), candidacy = ALWAYS, slot = 0 } = parts;
    this.leaseName = options.leaseName;
    this.identity = options.identity;
    this.#options = options;
    this.#clock = clock;
    this.#standing = new Standing(candidacy, parts.coordination);
    this.#slot = slot;
    this.#records = new OwnRecords(options, clock, this.#standing.isCoordinated);
    this.#alarm = new Alarm(clock, () => {
      this.#step();
    });
    this.#traffic = this.#makeTraffic(lock);
    this.#watcher = this.#makeWatcher(lock);
    this.#phases = this.#makePhases(parts);
  }

  /** The clock it lives by. */
  get clock(): Clock {
    return this.#clock;
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
    let disregard: Disposer = () => undefined;
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) {
      leave();
    } else {
      disregard = this.#standing.observe((objection) => {
        this.#phases.enter(() => {
          this.#onStanding(objection);
        });
      });
      this.#watcher.start();
      this.#step();
    }
    await stopped;
    await this.#standing.withdraw();
    disregard();
    signal.removeEventListener('abort', leave);
  }

  async stepDown(options: StepDownOptions = {}): Promise<void> {
    await this.#phases.handOver('steppedDown', cooldownIn(options) ?? this.#options.retryPeriod);
  }

  /** @internal No campaign before this: a cool-down, or work of the last term that still runs. */
  get campaignAt(): MonotonicMs {
    return this.#phases.campaignAt;
  }

  /** @internal Has a term, also one that is not told of yet. */
  get hasTerm(): boolean {
    return termOf(this.#phases.current) !== undefined;
  }

  /**
   * Asks whoever holds the lease to hand it over to this process, which it does if its `spread` is set. A note on the
   * Lease, conditional on what was seen of it: it disturbs no renewal and lengthens nobody's hold.
   *
   * @returns whether the note was left; false also while this process leads or does not campaign, and when there is
   * nobody to ask.
   */
  async askForLease(): Promise<boolean> {
    const { current, campaignAt } = this.#phases;
    const campaigns =
      current.kind === 'following' && this.#standing.wanted && this.#clock.now() >= campaignAt;
    return campaigns && this.#phases.enter(() => this.#traffic.ask());
  }

  // What it is made of

  #makeTraffic(lock: LeaseLock): LeaseTraffic {
    return new LeaseTraffic({
      lock,
      clock: this.#clock,
      options: this.#options,
      records: this.#records,
      coordinated: this.#standing.isCoordinated,
      validFor: () => this.#phases.heldTerm?.validFor(),
      step: () => {
        this.#step();
      },
      measure: (fact) => {
        this.#phases.measure(fact);
      },
      proved: (attempt) => {
        this.#onProved(attempt);
      },
      problems: this.#problems,
      failed: (error) => {
        this.#phases.tell({ type: 'error', error });
      },
      expect: (resourceVersion, overdue) => {
        this.#watcher.expect(resourceVersion, overdue);
      },
    });
  }

  #makeWatcher(lock: LeaseLock): WatchKeeper {
    return new WatchKeeper(lock, this.#clock, this.#options.retryPeriod, {
      onEvent: (event) => {
        this.#phases.enter(() => {
          this.#traffic.onWatchEvent(event);
        });
      },
      onStateChange: (state) => {
        this.#phases.measure({ type: 'watch', isOpen: state === 'open' });
        if (state === 'open') this.#problems.succeeded('watch', this.#clock.now());
        this.#traffic.onWatchState(state);
      },
      onError: (problem, isDenied) => {
        const error = isDenied ? watchDenied(lock, problem) : problem;
        this.#problems.failed('watch', error, this.#clock.now());
        this.#phases.tell({ type: 'error', error });
      },
    });
  }

  #makePhases({ guard, meter, work }: LeaseElectorParts): Phases {
    const host: PhasesHost = {
      clock: this.#clock,
      options: this.#options,
      guard,
      meter,
      describe: (phase) => this.#describe(phase),
      wake: () => {
        this.#step();
      },
      voidWrites: () => {
        this.#traffic.sight.ledger.voidAttempts();
      },
      release: () => this.#release(),
      releaseFailed: (error) => {
        const { observation } = this.#traffic.sight;
        const until = observation.kind === 'unseen' ? NEVER : observation.heldUntil;
        this.#problems.failed('release', error, this.#clock.now(), until);
        this.#phases.tell({ type: 'error', error });
      },
      confirm: (term, signal) => this.#confirm(term, signal),
      stopped: () => {
        this.#stop();
      },
    };
    return new Phases(host, work);
  }

  #describe(phase: Phase): ElectorState {
    const { observation } = this.#traffic.sight;
    const { objection } = this.#standing;
    const heldUntil = observation.kind === 'unseen' ? LONG_AGO : observation.heldUntil;
    return describePhase(phase, {
      leader: holderOf(observation),
      expiresAt: heldUntil === LONG_AGO ? undefined : heldUntil,
      problems: [...this.#problems.all, ...[objection, this.#longLease].filter((each) => each !== undefined)],
      watch: this.#watcher.state,
      running: this.#phases.running,
    });
  }

  // Deciding

  #step(): void {
    this.#problems.pass(this.#clock.now());
    if (!this.#wantsToWrite) this.#problems.unwanted('write');
    this.#standOrWithdraw();
    for (;;) {
      const term = this.#phases.heldTerm;
      if (term === undefined && this.#phases.current.kind !== 'following') return;
      const decision = this.#decide(term);
      if (decision.do === 'wait') {
        this.#alarm.set(earlier(decision.until, this.#problems.nextEnd));
        this.#tellLeader();
        this.#tellLongLease();
        return;
      }
      this.#act(decision, term);
    }
  }

  #decide(term: ActiveTerm | undefined): Decision {
    const { sight, pacing, rhythm } = this.#traffic;
    const { renewDeadline, renewInterval, termLimit } = this.#options;
    return decide({
      now: this.#clock.now(),
      observation: sight.observation,
      doubtful: sight.doubtful,
      notBefore: pacing.notBefore,
      noReadBefore: pacing.noReadBefore,
      noWriteBefore: pacing.noWriteBefore,
      campaignAt: this.#phases.campaignAt,
      pollAt: pacing.pollAt,
      silentAt: rhythm.silentAt(sight.observation),
      stands: this.#standing.wanted,
      coordinated: this.#standing.elects,
      options: this.#options,
      term: term && {
        renewAt: after(this.#clock.now(), term.validFor() + renewInterval - renewDeadline),
        limitAt: termLimit > 0 ? after(term.beganAt, termLimit) : NEVER,
        closing: this.#phases.current.kind === 'handingOver',
      },
    });
  }

  #act(decision: Exclude<Decision, { do: 'wait' }>, term: ActiveTerm | undefined): void {
    switch (decision.do) {
      case 'read':
        this.#traffic.read();
        return;
      case 'create':
        this.#traffic.write(undefined, this.#records.toAcquire(undefined), term);
        return;
      case 'takeOver':
        this.#traffic.write(decision.base, this.#records.toAcquire(decision.base.record), term);
        return;
      case 'renew':
        this.#traffic.write(decision.base, this.#records.toRenew(decision.base.record), term);
        return;
      case 'handOver':
        void this.#phases.handOver(decision.reason, this.#options.retryPeriod);
        return;
      case 'yield':
        this.#phases.lose(decision.reason);
        return;
    }
  }

  /** Holds the lease, or would take it. */
  get #wantsToWrite(): boolean {
    const { heldTerm, campaignAt } = this.#phases;
    return heldTerm !== undefined || (this.#standing.wanted && this.#clock.now() >= campaignAt);
  }

  /** Is up for election while it would take the lease, and holds it; not before it has seen who holds it now. */
  #standOrWithdraw(): void {
    const { current, campaignAt } = this.#phases;
    const { kind } = this.#traffic.sight.observation;
    const follows = current.kind === 'following' && kind !== 'unseen' && this.#clock.now() >= campaignAt;
    this.#standing.stand(follows || current.kind === 'starting' || current.kind === 'leading');
  }

  /** One that is still up for election would be given at once what it gives up. */
  async #release(): Promise<ReleaseOutcome> {
    await this.#standing.withdraw();
    return this.#traffic.release();
  }

  // Noting what came about

  #tellLeader(): void {
    const leader = holderOf(this.#traffic.sight.observation);
    if (leader === this.#toldLeader) return;
    this.#toldLeader = leader;
    this.#phases.tell({ type: 'newLeader', identity: leader });
  }

  #tellLongLease(): void {
    const error = longLease(this.#traffic.sight.observation, this.#clock.now(), this.#options);
    if ((error === undefined) === (this.#longLease === undefined)) return;
    this.#longLease = error;
    this.#phases.tell({ type: 'stateChanged', state: this.state });
    if (error !== undefined) this.#phases.tell({ type: 'error', error });
  }

  /** A write succeeded: it begins or extends the term it was for, by the stamp taken before it was sent. */
  #onProved(attempt: WriteAttempt): void {
    const { observation } = this.#traffic.sight;
    const term = this.#phases.heldTerm;
    if (observation.kind !== 'present' || attempt.term !== term) return;
    const validity = validityOf(attempt.sentAt, attempt.sentOn, this.#options.renewDeadline);
    if (term !== undefined) {
      term.extend(validity);
      return;
    }
    const stillCertain = this.#clock.now() < validity.until && this.#clock.date() < validity.untilDate;
    const { owedBefore = LONG_AGO } = observation;
    if (this.#phases.current.kind !== 'following' || !stillCertain || this.#clock.now() < owedBefore) return;
    const fencingToken = BigInt(observation.snapshot.resourceVersion);
    const takeover = takeoverOf(attempt.base, this.identity);
    this.#phases.begin({ fencingToken, slot: this.#slot, validity }, takeover);
  }

  #onStanding(objection: 'another' | 'same'): void {
    if (objection === 'another') {
      this.#phases.tell({ type: 'stateChanged', state: this.state });
      const { objection: error } = this.#standing;
      if (error !== undefined) this.#phases.tell({ type: 'error', error });
    }
    this.#step();
  }

  async #confirm(term: ActiveTerm, signal: AbortSignal | undefined): Promise<void> {
    const reply = await untilAborted(signal, () => this.#traffic.look());
    // What was seen may have ended the term; whoever asked finds that out by looking at it.
    if (term.isOver || (reply.ok && this.#traffic.sight.ours !== undefined)) return;
    throw new LeaderError(
      'LEADER_UNCONFIRMED',
      `Whether '${this.leaseName}' is still held could not be read.` +
        (reply.ok ? ' It changed meanwhile; ask again.' : ` ${reply.error.message}`),
      reply.ok ? undefined : { cause: reply.error },
    );
  }

  #stop(): void {
    this.#alarm.clear();
    this.#watcher.stop();
    this.#traffic.abortAll();
    this.#tellLeader();
    this.#onStopped();
  }
}

function watchDenied(lock: LeaseLock, cause: LeaderError): LeaderError {
  const message =
    `Watching the lease ${lock.describe()} is not permitted, so it is polled every retryPeriod: a hand-over takes ` +
    `that much longer. ${cause.message}`;
  return new LeaderError('LEADER_WATCH_DENIED', message, { cause });
}
