import { Announcer } from '../driver.js';
import {
  ALWAYS,
  type Candidacy,
  cooldownIn,
  type ElectionEvent,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type LeaseUpdate,
  type ProofOfDeath,
  type StepDownOptions,
  type TermGuard,
} from '../elector.js';
import type { Clock } from '../clock.js';
import { campaignsIn, conditionOf } from '../several-leases/condition.js';
import { InvalidOptionsError, alreadyStarted, type LeaderErrorCode } from '../errors.js';
import { jointGuard } from './joint-guard.js';
import { JointMeter } from './joint-meter.js';
import { JointTerm } from './joint-term.js';
import { LeaderNews, leaderIn } from '../several-leases/leader-news.js';
import { LeaseElector } from '../lease-elector.js';
import type { HolderNote, LeaseLock } from '../lease.js';
import { unfailingMeter, type ElectionMeter } from '../meter.js';
import type { ResolvedElectionOptions } from '../options.js';
import type { ElectionTrace } from '../machine.js';
import { systemClock } from '../system-clock.js';
import { GatedWork, isLoss, type LeadershipTerm, type TermEndReason } from '../term.js';
import { onAbort } from '../waiting.js';

/** The parts of a {@link JointElector}. */
export interface JointElectorParts {
  /** The Lease that `options.leaseName` names. */
  readonly lock: LeaseLock;
  readonly options: ResolvedElectionOptions;
  /** The other Lease, of the same API server. */
  readonly also: { readonly leaseName: string; readonly lock: LeaseLock };
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
  /** Whether this process wants to lead. Default: always. */
  readonly candidacy?: Candidacy | undefined;
  /** Learns that a holder's process is dead. Default: a lease is waited out. */
  readonly proofOfDeath?: ProofOfDeath | undefined;
  /** What this process tells others about itself while it holds a lease. Default: nothing. */
  readonly note?: (() => HolderNote | undefined) | undefined;
  /** Called when a term starts, with both Leases held, and when it ends, before either is released. */
  readonly guard?: TermGuard | undefined;
  /**
   * Returns the meter of a Lease, given its name. Each gets the renewals of its Lease; that of `options.leaseName` also gets
   * all other facts. Default: none.
   */
  readonly meterOf?: (leaseName: string) => ElectionMeter | undefined;
  /** Returns the trace of the election on a Lease, given its name. Default: none. */
  readonly traceOf?: ((leaseName: string) => ElectionTrace) | undefined;
}

/** Errors that the electors of both Leases report about the same thing. */
const reportedByBoth: readonly LeaderErrorCode[] = ['LEADER_DRAIN_TIMEOUT', 'LEADER_GUARD_FAILED'];

/**
 * Takes part in an election that is kept in two Leases while it moves from one to the other: this process leads while it
 * holds both, so it never leads at the same time as a process that knows only the old Lease or only the new one.
 *
 * client-go's MultiLock writes two objects as if they were one, and must then interpret a half-written pair. Here each Lease
 * has an election of its own, with all its guarantees, and a process stands for the second Lease only while it leads the
 * first. All processes acquire the Leases in the order of their names, whichever is given as `also`, so no two processes wait
 * for each other. Not guaranteed: that anybody leads while one of the Leases cannot be acquired, for example because a
 * permission is missing.
 */
export class JointElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  readonly #first: LeaseElector;
  readonly #second: LeaseElector;
  /** The gated work of every term. */
  readonly #work = new GatedWork();
  readonly #clock: Clock;
  readonly #onLost: 'campaign' | 'exit';
  readonly #measure: ElectionMeter;
  readonly #meter: JointMeter;
  #firstChanged: () => void = () => undefined;
  #leave: () => void = () => undefined;
  #announcer = new Announcer(() => undefined);
  /** The term whose beginning was announced, and whose end was not. */
  #joint: JointTerm | undefined;
  readonly #leaderNews = new LeaderNews((event) => {
    this.#announcer.tell(event);
  });

  /** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` when both Leases are one. */
  constructor(parts: JointElectorParts) {
    const { lock, options, also, clock = systemClock, candidacy = ALWAYS } = parts;
    const { proofOfDeath, note, guard, meterOf, traceOf } = parts;
    const { leaseName, identity } = options;
    if (also.leaseName === leaseName) {
      throw new InvalidOptionsError([
        `alsoLease and leaseName are both '${leaseName}': they must be two Leases`,
      ]);
    }
    this.leaseName = leaseName;
    this.identity = identity;
    this.#clock = clock;
    this.#onLost = options.onLost;
    this.#measure = unfailingMeter(meterOf?.(leaseName), (error) => {
      this.#announcer.tell({ type: 'error', error });
    });
    this.#meter = new JointMeter(this.#measure);
    const given = { leaseName, lock };
    const [one, other] = also.leaseName < leaseName ? [also, given] : [given, also];
    const guards = guard && jointGuard(guard);
    // The electors share the work, so each hands over, or campaigns again, only when no work of the last term runs. The term of
    // one Lease alone is not announced, so its loss does not stop this elector.
    const shared = { clock, proofOfDeath, note, work: this.#work };
    const inner = { ...options, onLost: 'campaign' } as const;
    this.#first = new LeaseElector({
      ...shared,
      lock: one.lock,
      options: { ...inner, leaseName: one.leaseName },
      candidacy,
      guard: guards?.first,
      meter: this.#meter.of('first', meterOf?.(one.leaseName)),
      trace: traceOf?.(one.leaseName),
    });
    this.#second = new LeaseElector({
      ...shared,
      lock: other.lock,
      options: { ...inner, leaseName: other.leaseName },
      candidacy: this.#whileFirstIsLed(),
      guard: guards?.second,
      meter: this.#meter.of('second', meterOf?.(other.leaseName)),
      trace: traceOf?.(other.leaseName),
    });
  }

  get state(): ElectorState {
    return this.#look().state;
  }

  async run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    if (this.state.kind !== 'idle') throw alreadyStarted(this.leaseName);
    this.#announcer = new Announcer(observer);
    this.#measure({ type: 'joined' });
    const [stopFirst, stopSecond] = [new AbortController(), new AbortController()];
    const leave = (): void => {
      // The second first: if it saw the first hand over, it would step down instead of stopping.
      stopSecond.abort();
      stopFirst.abort();
    };
    this.#leave = leave;
    const ignoreSignal = onAbort(signal, leave);
    const run = (elector: LeaseElector, stop: AbortController): Promise<void> =>
      elector.run(stop.signal, (event) => {
        this.#on(elector, event);
      });
    await Promise.all([run(this.#first, stopFirst), run(this.#second, stopSecond)]);
    ignoreSignal();
  }

  async stepDown(options: StepDownOptions = {}): Promise<void> {
    cooldownIn(options);
    // The caller may be work of the joint term, which the electors of the single Leases cannot recognise.
    const isOwnWork = this.#joint !== undefined && this.#work.isOfCaller(this.#joint);
    const ended = Promise.all([this.#first.stepDown(options), this.#second.stepDown(options)]);
    if (!isOwnWork) await ended;
  }

  endAtExit(): readonly LeaseUpdate[] {
    // The second first, as at a stop.
    return [...this.#second.endAtExit(), ...this.#first.endAtExit()];
  }

  #whileFirstIsLed(): Candidacy {
    // Also while it has not noticed that its term has run out. Otherwise the second would step down, as if nothing were lost.
    const isLed = (): boolean => this.#first.leads;
    return {
      get stands() {
        return isLed();
      },
      objection: undefined,
      observe: (changed) => {
        this.#firstChanged = changed;
        return () => {
          this.#firstChanged = () => undefined;
        };
      },
    };
  }

  #on(elector: LeaseElector, event: ElectionEvent): void {
    switch (event.type) {
      case 'error':
        // Both wait for the same work and the same guard, so one report is enough.
        if (elector === this.#first && reportedByBoth.includes(event.error.code)) return;
        this.#measure({ type: 'failed', code: event.error.code });
        this.#announcer.tell(event);
        return;
      case 'stateChanged':
        this.#review();
        if (elector === this.#first) this.#firstChanged();
        break;
      case 'stoppedLeading':
        this.#onStopped(event.reason);
        break;
      case 'startedLeading':
      case 'newLeader':
        break;
    }
    const { state } = this;
    const isEnding = this.#joint !== undefined && state.kind === 'following';
    if (!isEnding && state.kind !== 'stopped') this.#leaderNews.tell(leaderIn(state, this.identity));
  }

  /** A term begins when this process leads both Leases. Once one of them is lost, {@link #onStopped} tells the state. */
  #review(): void {
    const { first, second } = this.#look();
    if (this.#joint === undefined && first.kind === 'leading' && second.kind === 'leading') {
      const term = new JointTerm(this.leaseName, [first.term, second.term], this.#work, this.#clock.now());
      this.#joint = term;
      const { takeover } = this.#meter;
      this.#measure({ type: 'termBegan', term, takeover });
      this.#announcer.tell(this.#stateChanged(), { type: 'startedLeading', term, takeover });
    } else if (this.#joint === undefined || this.#joint.isOf(termIn(first), termIn(second))) {
      this.#announcer.tell(this.#stateChanged());
    }
  }

  /** A term ends with the first of its two terms that ends, and for the same reason. */
  #onStopped(reason: TermEndReason): void {
    const term = this.#joint;
    if (term === undefined) return;
    this.#joint = undefined;
    this.#work.outlive(term);
    const lengthMs = this.#clock.now() - term.beganAt;
    this.#measure({ type: 'termEnded', term, reason, lengthMs });
    this.#announcer.tell(this.#stateChanged(), { type: 'stoppedLeading', term, reason });
    if (this.#onLost === 'exit' && isLoss(reason)) this.#leave();
  }

  #stateChanged(): ElectionEvent {
    return { type: 'stateChanged', state: this.state };
  }

  #look(): { first: ElectorState; second: ElectorState; state: ElectorState } {
    const first = this.#first.state;
    const second = this.#second.state;
    return { first, second, state: this.#describe(first, second) };
  }

  #describe(first: ElectorState, second: ElectorState): ElectorState {
    if (first.kind === second.kind && (first.kind === 'idle' || first.kind === 'stopped')) return first;
    const how = conditionOf([first, second]);
    const stillRunning = this.#work.running;
    const term = this.#joint;
    if (term?.isOf(termIn(first), termIn(second)) === true) {
      return term.signal.aborted
        ? { kind: 'handingOver', term, reason: term.closeReason, stillRunning, ...how }
        : { kind: 'leading', term, ...how };
    }
    const others = [first, second].filter((state) => state.kind === 'following');
    // With our own name in the first Lease alone we do not lead: we wait for the second.
    const shown = others.find(({ leader }) => leader !== '' && leader !== this.identity) ?? others.at(-1);
    const { leader = '', expiresAt, leaderNote } = shown ?? {};
    return { kind: 'following', leader, expiresAt, stillRunning, leaderNote, ...campaignsIn(others), ...how };
  }
}

function termIn(state: ElectorState): LeadershipTerm | undefined {
  return 'term' in state ? state.term : undefined;
}
