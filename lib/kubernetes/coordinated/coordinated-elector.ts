import {
  LeaseElector,
  SystemClock,
  type Candidacy,
  type Clock,
  type Disposer,
  type ElectionMeter,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type HolderNote,
  type LeaderError,
  type ResolvedElectionOptions,
  type StepDownOptions,
  type TermGuard,
} from '../../election/internal.js';
import { CoordinatedLock, type LeaseObjectLock } from './coordinated-lock.js';

/** A coordinated election (KEP-4355) as one process takes part in it. */
export interface Coordination {
  /**
   * Whether the API server chooses the holder. False: it does not, so the lease is claimed as in any election.
   * Undefined: not known yet; until it is, this process does not campaign.
   */
  readonly elects: boolean | undefined;
  /** The current problem, which is reported as an error and shown in the state. */
  readonly objection: LeaderError | undefined;
  /**
   * Begins to find out, and calls `changed` whenever the properties above may have changed, until the returned
   * function is called.
   */
  observe(changed: () => void): Disposer;
  /** Makes this process a candidate. Does nothing if it is one. */
  stand(): void;
  /** Withdraws the candidate. Resolves when it is deleted, or after a bounded time. Does nothing if there is none. */
  withdraw(): Promise<void>;
}

/** What a {@link CoordinatedElector} is made of. */
export interface CoordinatedElectorParts {
  /** For example a `KubernetesLeaseLock`. */
  readonly lock: LeaseObjectLock;
  /** From `resolveElectionOptions`. */
  readonly options: ResolvedElectionOptions;
  /** For example a `LeaseCandidateKeeper`. */
  readonly coordination: Coordination;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
  /** Whether this process wants to lead. Default: always. */
  readonly candidacy?: Candidacy | undefined;
  /** What this process tells others about itself while it holds a lease. Default: nothing. */
  readonly note?: (() => HolderNote | undefined) | undefined;
  /** Work before and after every term. Default: none. */
  readonly guard?: TermGuard | undefined;
  /** Receives the measurements. Default: none. */
  readonly meter?: ElectionMeter | undefined;
}

/**
 * Takes part in a coordinated election (KEP-4355): the API server chooses the holder of the lease among the
 * candidates.
 *
 * A {@link LeaseElector} on a `CoordinatedLock` campaigns only while the Lease names this process, and hands
 * over when the API server prefers another. This process stands as a candidate while it leads or would take the
 * lease. It does not stand before it has seen the Lease, while it hands over, or while it cools down. Where the API
 * server chooses nobody, the lease is claimed as in any election.
 */
export class CoordinatedElector implements Elector {
  readonly #coordination: Coordination;
  readonly #candidacy: Candidacy | undefined;
  readonly #clock: Clock;
  readonly #lock: CoordinatedLock;
  readonly #elector: LeaseElector;
  /** The signal that ends the run; undefined before the run. */
  #leaving: AbortSignal | undefined;
  #candidacyChanged: () => void = () => undefined;
  #cancelTelling: Disposer = () => undefined;
  #cancelStanding: Disposer = () => undefined;

  constructor(parts: CoordinatedElectorParts) {
    const { lock, options, coordination, clock = new SystemClock(), note, guard, meter } = parts;
    const { identity, leaseDuration } = options;
    this.#coordination = coordination;
    this.#candidacy = parts.candidacy;
    this.#clock = clock;
    this.#lock = new CoordinatedLock({
      lock,
      identity,
      leaseDuration,
      withdraw: () => coordination.withdraw(),
      onMoved: (before) => {
        if (before === 'chosen' && this.#lock.place === 'passedOver') this.#standAnew();
        this.#tellSoon();
      },
    });
    this.#elector = new LeaseElector({
      lock: this.#lock,
      options,
      clock,
      note,
      guard,
      meter,
      candidacy: this.#asCandidacy(),
    });
  }

  get leaseName(): string {
    return this.#elector.leaseName;
  }

  get identity(): string {
    return this.#elector.identity;
  }

  get clock(): Clock {
    return this.#clock;
  }

  get state(): ElectorState {
    return this.#elector.state;
  }

  /** Resolves when the election has ended and the candidate is withdrawn. */
  async run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    // The elector refuses a second run.
    if (this.state.kind !== 'idle') return this.#elector.run(signal, observer);
    this.#leaving = signal;
    const leave = (): void => {
      this.#standOrWithdraw();
    };
    signal.addEventListener('abort', leave, { once: true });
    await this.#elector.run(signal, (event) => {
      this.#standOrWithdraw();
      observer(event);
    });
    signal.removeEventListener('abort', leave);
    this.#cancelTelling();
    this.#cancelStanding();
    await this.#coordination.withdraw();
  }

  stepDown(options?: StepDownOptions): Promise<void> {
    return this.#elector.stepDown(options);
  }

  /** Whether this process wants to lead, and knows whether the API server chooses the holder. */
  get #wantsToLead(): boolean {
    return (this.#candidacy?.stands ?? true) && this.#coordination.elects !== undefined;
  }

  #asCandidacy(): Candidacy {
    const stands = (): boolean => this.#wantsToLead && (this.#coordination.elects === false || this.#mayHold);
    const objection = (): LeaderError | undefined =>
      this.#candidacy?.objection ?? this.#coordination.objection;
    const abstains = (): boolean => this.#candidacy?.abstains ?? false;
    return {
      get stands() {
        return stands();
      },
      get objection() {
        return objection();
      },
      get abstains() {
        return abstains();
      },
      observe: (changed) => {
        this.#candidacyChanged = changed;
        const look = (): void => {
          this.#standOrWithdraw();
          changed();
        };
        const disregard = [this.#candidacy?.observe(look), this.#coordination.observe(look)];
        return () => {
          this.#candidacyChanged = () => undefined;
          for (const each of disregard) each?.();
        };
      },
    };
  }

  /**
   * Whether this process may claim or keep the lease. If another is preferred, it claims the lease only to hand it over.
   * Otherwise it might stay free for ever: if the preferred process dies, the API server chooses this one again, which
   * the Lease already names, and so changes nothing.
   */
  get #mayHold(): boolean {
    const { place } = this.#lock;
    return place === 'chosen' || (place === 'outvoted' && !this.#elector.hasTerm);
  }

  /**
   * Another was chosen while this process waited to claim the lease. It becomes a younger candidate. Otherwise the API
   * server could choose them in turn, if they are of the same age, so that neither waits long enough.
   */
  #standAnew(): void {
    if (!this.#elector.hasTerm) void this.#coordination.withdraw();
  }

  /** What the lock has seen may change whether this process stands. The timer lets the elector see it first. */
  #tellSoon(): void {
    this.#cancelTelling();
    this.#cancelTelling = this.#clock.setTimer(0, () => {
      this.#standOrWithdraw();
      this.#candidacyChanged();
    });
  }

  #standOrWithdraw(): void {
    this.#cancelStanding();
    const waitMs = this.#elector.hasTerm ? 0 : this.#elector.campaignAt - this.#clock.now();
    if (this.#mayStand && waitMs <= 0) {
      this.#coordination.stand();
      return;
    }
    void this.#coordination.withdraw();
    if (!this.#mayStand) return;
    this.#cancelStanding = this.#clock.setTimer(waitMs, () => {
      this.#standOrWithdraw();
    });
  }

  /** Whether this process may stand, apart from a cool-down or work that still runs. */
  get #mayStand(): boolean {
    if (!this.#wantsToLead || this.#leaving?.aborted !== false) return false;
    const { place } = this.#lock;
    const { kind } = this.state;
    // `hasTerm` includes a term that has not been announced: that is handed over, too.
    if (place === 'unseen' || (place === 'outvoted' && this.#elector.hasTerm)) return false;
    return kind === 'following' || kind === 'leading';
  }
}
