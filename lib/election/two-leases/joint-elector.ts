/**
 * Takes part in an election that is kept in two Leases, as long as it moves from one to the other: this process leads
 * while it holds both, so it never leads beside one that knows only the old Lease, or only the new.
 *
 * client-go's MultiLock writes two objects as if they were one, and must then make sense of what is half written. Here
 * each Lease has an election of its own, with all that it guarantees, and the second is stood for only while the first
 * is led. All processes take them in the order of their names, whatever order they were given in, so no two wait for
 * each other. Not guaranteed: that somebody leads while a Lease of the two cannot be had, for want of a permission, say.
 */
import { Announcer } from '../announcer.js';
import { ALWAYS, type Candidacy } from '../candidacy.js';
import type { Clock } from '../clock.js';
import { conditionOf } from '../slots/condition.js';
import {
  cooldownIn,
  type ElectionEvent,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type StepDownOptions,
} from '../elector.js';
import { InvalidOptionsError, alreadyStarted, type LeaderErrorCode } from '../errors.js';
import { GatedWork } from '../gated-work.js';
import { jointGuard } from './joint-guard.js';
import { JointMeter } from './joint-meter.js';
import { JointTerm } from './joint-term.js';
import { LeaseElector } from '../lease-elector.js';
import type { LeaseLock } from '../lease-lock.js';
import { unfailingMeter, type ElectionMeter } from '../meter.js';
import type { ResolvedElectionOptions } from '../options.js';
import { SystemClock } from '../system-clock.js';
import type { TermGuard } from '../term-guard.js';
import { isLoss, type LeadershipTerm } from '../term.js';

/** What a {@link JointElector} is made of. */
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
  /** What is done around every term: when both Leases are held, and before either is given up. */
  readonly guard?: TermGuard | undefined;
  /** The meter of the Lease of that name: renewals of its own for each, the rest for `options.leaseName`. Default: none. */
  readonly meterOf?: (leaseName: string) => ElectionMeter | undefined;
}

const ofBoth: readonly LeaderErrorCode[] = ['LEADER_DRAIN_TIMEOUT', 'LEADER_GUARD_FAILED'];

/** See the head of the file. */
export class JointElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  readonly #first: LeaseElector;
  readonly #second: LeaseElector;
  /** Of every term. */
  readonly #work = new GatedWork();
  readonly #clock: Clock;
  readonly #onLost: 'campaign' | 'exit';
  readonly #measure: ElectionMeter;
  readonly #meter: JointMeter;
  #firstChanged: () => void = () => undefined;
  #leave: () => void = () => undefined;
  #announcer = new Announcer(() => undefined);
  /** The term that was told to have begun, and not to have ended. */
  #joint: JointTerm | undefined;
  #toldLeader = '';

  /** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` when both Leases are one. */
  constructor(parts: JointElectorParts) {
    const { lock, options, also, clock = new SystemClock(), candidacy = ALWAYS, guard, meterOf } = parts;
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
    // Either hands over or campaigns anew only when nothing of the last term runs. That of one Lease alone is nobody's term,
    // so its loss ends nothing.
    const shared = { clock, work: this.#work };
    const inner = { ...options, onLost: 'campaign' } as const;
    this.#first = new LeaseElector({
      ...shared,
      lock: one.lock,
      options: { ...inner, leaseName: one.leaseName },
      candidacy,
      guard: guards?.first,
      meter: this.#meter.of('first', meterOf?.(one.leaseName)),
    });
    this.#second = new LeaseElector({
      ...shared,
      lock: other.lock,
      options: { ...inner, leaseName: other.leaseName },
      candidacy: this.#whileFirstIsLed(),
      guard: guards?.second,
      meter: this.#meter.of('second', meterOf?.(other.leaseName)),
    });
  }

  /** Looking checks the clocks first, for both Leases. */
  get state(): ElectorState {
    return this.#look().state;
  }

  async run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    if (this.state.kind !== 'idle') throw alreadyStarted(this.leaseName);
    this.#announcer = new Announcer(observer);
    this.#measure({ type: 'joined' });
    const [stopFirst, stopSecond] = [new AbortController(), new AbortController()];
    const leave = (): void => {
      // The second before it hears that the first hands over: it stops, too, and does not just step down.
      stopSecond.abort();
      stopFirst.abort();
    };
    this.#leave = leave;
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    const run = (elector: LeaseElector, stop: AbortController): Promise<void> =>
      elector.run(stop.signal, (event) => {
        this.#on(elector, event);
      });
    await Promise.all([run(this.#first, stopFirst), run(this.#second, stopSecond)]);
    signal.removeEventListener('abort', leave);
  }

  async stepDown(options: StepDownOptions = {}): Promise<void> {
    cooldownIn(options);
    // Work is in the joint term, so neither Lease's elector can tell that its caller is work that it waits for.
    const isOwnWork = this.#joint !== undefined && this.#work.isOfCaller(this.#joint);
    const ended = Promise.all([this.#first.stepDown(options), this.#second.stepDown(options)]);
    if (!isOwnWork) await ended;
  }

  #whileFirstIsLed(): Candidacy {
    const isLed = (): boolean => this.#first.state.kind === 'leading';
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
        // Both wait for the same work and the same guard, and one word about it is enough.
        if (elector === this.#first && ofBoth.includes(event.error.code)) return;
        this.#measure({ type: 'failed', code: event.error.code });
        this.#announcer.tell(event);
        return;
      case 'stateChanged':
        this.#review();
        if (elector === this.#first) this.#firstChanged();
        break;
      case 'startedLeading':
      case 'stoppedLeading':
      case 'newLeader':
        break;
    }
    this.#tellLeader();
  }

  /** A term begins when both are led, and ends with the first of them that ends. */
  #review(): void {
    const { first, second } = this.#look();
    const joint = this.#joint;
    const ended = joint !== undefined && !joint.isOf(termIn(first), termIn(second));
    if (ended) {
      const reason = joint.endReason;
      this.#joint = undefined;
      this.#work.outlive(joint);
      const lengthMs = this.#clock.now() - joint.beganAt;
      this.#measure({ type: 'termEnded', term: joint, reason, lengthMs });
      this.#announcer.tell(this.#stateChanged(), { type: 'stoppedLeading', term: joint, reason });
      if (this.#onLost === 'exit' && isLoss(reason)) this.#leave();
    }
    if (this.#joint === undefined && first.kind === 'leading' && second.kind === 'leading') {
      const term = new JointTerm(this.leaseName, [first.term, second.term], this.#work, this.#clock.now());
      this.#joint = term;
      this.#measure({ type: 'termBegan', term, takeover: this.#meter.takeover });
      this.#announcer.tell(this.#stateChanged(), { type: 'startedLeading', term });
    } else if (!ended) {
      this.#announcer.tell(this.#stateChanged());
    }
  }

  #stateChanged(): ElectionEvent {
    return { type: 'stateChanged', state: this.state };
  }

  #tellLeader(): void {
    const { state } = this;
    if (state.kind === 'idle' || state.kind === 'stopped') return;
    const leader = state.kind === 'following' ? state.leader : this.identity;
    if (leader === this.#toldLeader) return;
    this.#toldLeader = leader;
    this.#announcer.tell({ type: 'newLeader', identity: leader });
  }

  #look(): { first: ElectorState; second: ElectorState; state: ElectorState } {
    // In this order: to look may end a term, and the joint one with it.
    const first = this.#first.state;
    const second = this.#second.state;
    return { first, second, state: this.#describe(first, second) };
  }

  #describe(first: ElectorState, second: ElectorState): ElectorState {
    if (first.kind === second.kind && (first.kind === 'idle' || first.kind === 'stopped')) return first;
    const how = conditionOf([first, second]);
    const stillRunning = this.#work.running;
    const term = this.#joint;
    if (term !== undefined) {
      return term.signal.aborted
        ? { kind: 'handingOver', term, reason: term.endReason, stillRunning, ...how }
        : { kind: 'leading', term, ...how };
    }
    const others = [first, second].filter((state) => state.kind === 'following');
    const { leader = '', expiresAt } = others.find((state) => state.leader !== '') ?? {};
    return { kind: 'following', leader, expiresAt, stillRunning, ...how };
  }
}

function termIn(state: ElectorState): LeadershipTerm | undefined {
  return state.kind === 'leading' || state.kind === 'handingOver' ? state.term : undefined;
}
