import { after, type Clock } from '../clock.js';
import type { Elector } from '../elector.js';
import { DEFAULTS, DURATION, refuseInvalid } from '../options.js';
import { overdueBy } from './overdue.js';
import { systemClock } from '../system-clock.js';

const WHOSE = 'The options of a Watchdog';

/** The options of a {@link Watchdog}. Times are milliseconds. */
export interface WatchdogParts {
  /** How long after its lease expired a process may still act as leader. Default 20000. */
  readonly maxTolerableExpiredLease?: number | undefined;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
}

/**
 * A liveness check that can be created and called before there is an election, like client-go's `HealthzAdaptor`.
 *
 * It fails when an elector acts as leader although its lease has expired. A `LeaseElector` never does, because its terms end
 * by themselves; other electors may. It fails neither for a follower nor because the API server does not answer.
 */
export class Watchdog {
  readonly #maxTolerableExpiredLease: number;
  readonly #clock: Clock;
  #watched: { readonly elector: Pick<Elector, 'state'>; readonly leaseDuration: number } | undefined;

  /** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` */
  constructor({ maxTolerableExpiredLease = 20_000, clock = systemClock }: WatchdogParts = {}) {
    refuseInvalid(WHOSE, { maxTolerableExpiredLease }, { maxTolerableExpiredLease: DURATION });
    this.#maxTolerableExpiredLease = maxTolerableExpiredLease;
    this.#clock = clock;
  }

  /**
   * From now on checks this elector, whose lease lasts `leaseDuration` milliseconds.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`
   */
  watch(elector: Pick<Elector, 'state'>, leaseDuration: number = DEFAULTS.leaseDuration): void {
    refuseInvalid(WHOSE, { leaseDuration }, { leaseDuration: DURATION });
    this.#watched = { elector, leaseDuration };
  }

  /** A description of the fault; undefined if there is none, or if no elector is watched. */
  check(): string | undefined {
    if (this.#watched === undefined) return undefined;
    const { elector, leaseDuration } = this.#watched;
    const { state } = elector;
    // A term without a lease is never renewed.
    if (state.kind !== 'leading' || !Number.isFinite(state.term.remaining())) return undefined;
    const now = this.#clock.now();
    const sinceRenewal = Math.max(this.#clock.date() - state.term.renewedAt, 0);
    const overdue = overdueBy(
      {
        acting: true,
        provedAt: after(now, -sinceRenewal),
        leaseDuration,
        maxTolerableExpiredLease: this.#maxTolerableExpiredLease,
      },
      now,
    );
    return overdue === undefined
      ? undefined
      : `acts as leader, but last renewed its lease ${String(Math.round(sinceRenewal))} ms ago`;
  }
}
