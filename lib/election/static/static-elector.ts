import type { Clock } from '../clock.js';
import { DEFAULTS, DURATION, defaultIdentity, refuseInvalid } from '../options.js';
import type { Driver } from '../driver.js';
import {
  ALWAYS,
  cooldownIn,
  type Candidacy,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type StepDownOptions,
} from '../elector.js';
import type { ElectionMeter } from '../meter.js';
import { systemClock } from '../system-clock.js';
import { leaselessDriver, type LeaselessElection, type LeaselessHappening } from './leaseless.js';

/** The role of a process in an election. */
export type Role = 'leader' | 'follower';

/** The parts of a {@link StaticElector}. */
export interface StaticElectorParts {
  readonly role: Role;
  /** Default `'static'`. */
  readonly leaseName?: string | undefined;
  /** Default `<hostname>_<uuid>`. */
  readonly identity?: string | undefined;
  /** The leader that a follower shows. Default `''`: none. */
  readonly leader?: string | undefined;
  /** Milliseconds. Default 20000. */
  readonly drainTimeout?: number | undefined;
  /** Whether a leader wants to lead; while it does not, it follows. Default: always. */
  readonly candidacy?: Candidacy | undefined;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
  /** Called with the facts for metrics. Default: none. */
  readonly meter?: ElectionMeter | undefined;
}

/**
 * An elector with a fixed role, for a deployment of one process and for tests. It uses no lease, so nothing keeps a second
 * process with the same role from leading, too, and the fencing token of all its terms is 0.
 */
export class StaticElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  readonly clock: Clock;
  /** The fixed role. */
  readonly role: Role;
  readonly #candidacy: Candidacy;
  readonly #driver: Driver<LeaselessElection, LeaselessHappening, never>;

  /** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` */
  constructor(parts: StaticElectorParts) {
    const {
      role,
      leader = '',
      leaseName = 'static',
      identity = defaultIdentity(),
      drainTimeout = DEFAULTS.drainTimeout,
      candidacy = ALWAYS,
      clock = systemClock,
      meter,
    } = parts;
    refuseInvalid('The parts of a StaticElector', { drainTimeout }, { drainTimeout: DURATION });
    this.leaseName = leaseName;
    this.identity = identity;
    this.role = role;
    this.clock = clock;
    this.#candidacy = candidacy;
    this.#driver = leaselessDriver(
      { leaseName, identity, drainTimeout, termLimit: 0, clock, meter, stands: () => candidacy.stands },
      role === 'leader'
        ? { do: 'lead', term: { fencingToken: 0n, repeats: true } }
        : { do: 'follow', leader },
    );
  }

  /** The present state. */
  get state(): ElectorState {
    return this.#driver.shown;
  }

  async run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    await this.#driver.run(signal, observer, () => {
      this.#driver.feed({ type: 'start' });
      if (this.#candidacy !== ALWAYS) this.#tellCandidacy();
      return this.#candidacy.observe(() => {
        this.#tellCandidacy();
      });
    });
  }

  #tellCandidacy(): void {
    const { objection, abstains = false } = this.#candidacy;
    this.#driver.feed({ type: 'candidacyChanged', objection, abstains });
  }

  /** Hands over as with a lease. A static leader begins the next term after the cool-down, by default the default `retryPeriod`. */
  async stepDown(options: StepDownOptions = {}): Promise<void> {
    const cooldown = cooldownIn(options) ?? DEFAULTS.retryPeriod;
    await this.#driver.feedAndAwaitEnd({ type: 'handOver', reason: 'steppedDown', cooldown });
  }
}
