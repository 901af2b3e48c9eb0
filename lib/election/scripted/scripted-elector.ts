import { onAbort } from '../waiting.js';
import type { Clock } from '../clock.js';
import type { Driver } from '../driver.js';
import {
  cooldownIn,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type StepDownOptions,
} from '../elector.js';
import { DEFAULTS, DURATION, refuseInvalid } from '../options.js';
import {
  NOBODY,
  leaselessDriver,
  type LeaselessElection,
  type LeaselessHappening,
} from '../static/leaseless.js';
import type { Role } from '../static/static-elector.js';
import { systemClock } from '../system-clock.js';
import type { TermEndReason } from '../term.js';
import {
  refuseInvalidGrant,
  refuseInvalidReason,
  type GrantOptions,
  type ScriptedElectorParts,
} from './scripted-options.js';

/**
 * An elector that plays the roles it is given, pushed by calls or read from an async iterable. For tests, and for
 * applications that elect by other means and want the rest of this package.
 */
export class ScriptedElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  readonly clock: Clock;
  readonly #roles: AsyncIterable<Role> | undefined;
  readonly #driver: Driver<LeaselessElection, LeaselessHappening, never>;
  #failure: { readonly error: unknown } | undefined;
  /** Aborted when no more roles are read. */
  readonly #reading = new AbortController();

  /** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` */
  constructor(parts: ScriptedElectorParts = {}) {
    const {
      leaseName = 'scripted',
      identity = 'me',
      drainTimeout = DEFAULTS.drainTimeout,
      termLimit = DEFAULTS.termLimit,
      clock = systemClock,
      meter,
    } = parts;
    refuseInvalid(
      'The parts of a ScriptedElector',
      { drainTimeout, termLimit },
      { drainTimeout: DURATION, termLimit: DURATION },
    );
    this.leaseName = leaseName;
    this.identity = identity;
    this.#roles = parts.roles;
    this.clock = clock;
    this.#driver = leaselessDriver({ leaseName, identity, drainTimeout, termLimit, clock, meter }, NOBODY);
  }

  /** The present state. */
  get state(): ElectorState {
    return this.#driver.shown;
  }

  async run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    await this.#driver.run(signal, observer, () => {
      this.#driver.feed({ type: 'start' });
      if (this.#failure !== undefined) this.#driver.feed({ type: 'stop' });
      const ignore = onAbort(signal, () => {
        this.#reading.abort();
      });
      void this.#readRoles();
      return ignore;
    });
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Plays `role` from now on. */
  push(role: Role): void {
    if (role === 'leader') this.grant();
    else this.revoke();
  }

  /**
   * Begins a term: at once, or as soon as the run has begun or the present hand-over has ended. Does nothing while this
   * process leads.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`
   */
  grant(options: GrantOptions = {}): void {
    refuseInvalidGrant(options);
    if (this.state.kind === 'leading') return;
    this.#driver.feed({ type: 'play', part: { do: 'lead', term: options } });
  }

  /**
   * Loses the term, without a hand-over. `leader` is the new leader; default: none.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` if `reason` is unknown.
   */
  revoke(reason: TermEndReason = 'superseded', leader = ''): void {
    refuseInvalidReason(reason);
    this.#driver.feed({ type: 'play', part: { do: 'follow', leader }, lose: reason });
  }

  /** Ends the run with an error, as a fatal configuration error does: the term is lost, and `run` rejects when its work has ended. */
  fail(error: Error): void {
    this.#fail(error);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#reading.abort();
    this.revoke('stopped');
    // Before the run begins, run() handles the failure.
    if (this.state.kind !== 'idle') this.#driver.feed({ type: 'stop' });
  }

  /** Hands over, and follows until the next `grant`. */
  async stepDown(options: StepDownOptions = {}): Promise<void> {
    cooldownIn(options);
    await this.#driver.feedAndAwaitEnd({
      type: 'handOver',
      reason: 'steppedDown',
      cooldown: 0,
      part: NOBODY,
    });
  }

  async #readRoles(): Promise<void> {
    const { signal } = this.#reading;
    const isOver = (): boolean => signal.aborted;
    if (isOver()) return;
    let ignore = (): void => undefined;
    try {
      const iterator = iterate(this.#roles ?? []);
      // The source of the roles may hold resources.
      ignore = onAbort(signal, () => {
        void closed(iterator);
      });
      for (;;) {
        const next = await iterator.next();
        if (next.done === true || isOver()) break;
        this.push(next.value);
      }
    } catch (error) {
      // An iterator that was closed may end with an error.
      if (!isOver()) this.#fail(error);
    } finally {
      ignore();
    }
  }
}

type Roles = Iterable<Role> | AsyncIterable<Role>;
type RolesIterator = Iterator<Role, unknown> | AsyncIterator<Role, unknown>;

function iterate(roles: Roles): RolesIterator {
  return Symbol.asyncIterator in roles ? roles[Symbol.asyncIterator]() : roles[Symbol.iterator]();
}

async function closed(iterator: RolesIterator): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // The run ends anyway.
  }
}
