/**
 * An elector whose part is fixed: for a deployment of one process, and for tests. Asks nobody, so nothing keeps a
 * second process with the same part from leading too, and the fencing token of each of its terms is 0.
 */
import { unlimited } from '../active-term.js';
import { Alarm } from '../alarm.js';
import type { Clock } from '../clock.js';
import { defaultIdentity } from '../default-identity.js';
import {
  cooldownIn,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type StepDownOptions,
} from '../elector.js';
import { leaselessPhases } from './leaseless-phases.js';
import type { ElectionMeter } from '../meter.js';
import { DURATION, refuseInvalid } from '../option-rules.js';
import type { Phases } from '../phases.js';
import { SystemClock } from '../system-clock.js';

/** What part a process has in an election. */
export type Role = 'leader' | 'follower';

/** What a {@link StaticElector} is made of. */
export interface StaticElectorParts {
  readonly role: Role;
  /** Default `'static'`. */
  readonly leaseName?: string | undefined;
  /** Default `<hostname>_<uuid>`. */
  readonly identity?: string | undefined;
  /** Whom a follower names as the leader. Default `''`: nobody. */
  readonly leader?: string | undefined;
  /** Milliseconds. Default 20000. */
  readonly drainTimeout?: number | undefined;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
  /** Is told what is worth a figure. Default: none. */
  readonly meter?: ElectionMeter | undefined;
}

/** The default cool-down of a step down, as with a lease: its default `retryPeriod`. */
const COOLDOWN_MS = 2_000;

/** See the head of the file. */
export class StaticElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  /** Its part. */
  readonly role: Role;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #phases: Phases;
  readonly #describe: () => ElectorState;
  #onStopped: () => void = () => undefined;

  /** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` */
  constructor(parts: StaticElectorParts) {
    const {
      leaseName = 'static',
      identity = defaultIdentity(),
      drainTimeout = 20_000,
      clock = new SystemClock(),
    } = parts;
    refuseInvalid('The parts of a StaticElector', { drainTimeout }, { drainTimeout: DURATION });
    this.leaseName = leaseName;
    this.identity = identity;
    this.role = parts.role;
    this.#clock = clock;
    this.#alarm = new Alarm(clock, () => {
      this.#play();
    });
    const { phases, describe } = leaselessPhases(
      { leaseName, identity, drainTimeout, clock, meter: parts.meter },
      {
        leader: () => parts.leader ?? '',
        wake: () => {
          this.#play();
        },
        stopped: () => {
          this.#alarm.clear();
          this.#onStopped();
        },
      },
    );
    this.#phases = phases;
    this.#describe = describe;
  }

  /** The clock it lives by. */
  get clock(): Clock {
    return this.#clock;
  }

  /** What it is doing. */
  get state(): ElectorState {
    return this.#describe();
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
    if (signal.aborted) leave();
    this.#play();
    await stopped;
    signal.removeEventListener('abort', leave);
  }

  /** Ends the term as with a lease; a static leader begins the next one after the cool-down. */
  async stepDown(options: StepDownOptions = {}): Promise<void> {
    await this.#phases.handOver('steppedDown', cooldownIn(options) ?? COOLDOWN_MS);
  }

  #play(): void {
    if (this.role === 'follower' || this.#phases.current.kind !== 'following') return;
    const { campaignAt } = this.#phases;
    if (this.#clock.now() < campaignAt) {
      this.#alarm.set(campaignAt);
      return;
    }
    this.#phases.begin({ fencingToken: 0n, slot: 0, validity: unlimited(this.#clock) });
    this.#phases.tell({ type: 'newLeader', identity: this.identity });
  }
}
