import { after, type Clock } from '../clock.js';
import type { Elector } from '../elector.js';
import { DURATION, refuseInvalid } from '../option-rules.js';
import { overdueBy } from './overdue.js';
import { SystemClock } from '../system-clock.js';

const WHOSE = 'The options of a Watchdog';

/** What a {@link Watchdog} is made of. Milliseconds. */
export interface WatchdogParts {
  /** How long after its lease ran out a process may still act as leader. Default 20000. */
  readonly maxTolerableExpiredLease?: number | undefined;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
}

/**
 * A liveness check that can be made, and asked, before there is an election: client-go's `HealthzAdaptor`.
 *
 * It bites when an elector acts as leader on a lease that ran out. A `LeaseElector` never does, its terms end by
 * themselves; other electors may. Following is well, and so is an API server that does not answer.
 */
export class Watchdog {
  readonly #maxTolerableExpiredLease: number;
  readonly #clock: Clock;
  #watched: { readonly elector: Pick<Elector, 'state'>; readonly leaseDuration: number } | undefined;

  /** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`: compared with what is no number nothing would ever be overdue. */
  constructor({ maxTolerableExpiredLease = 20_000, clock = new SystemClock() }: WatchdogParts = {}) {
    refuseInvalid(WHOSE, { maxTolerableExpiredLease }, { maxTolerableExpiredLease: DURATION });
    this.#maxTolerableExpiredLease = maxTolerableExpiredLease;
    this.#clock = clock;
  }

  /**
   * From now on it is about this elector, whose lease lasts `leaseDuration` milliseconds.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`
   */
  watch(elector: Pick<Elector, 'state'>, leaseDuration = 15_000): void {
    refuseInvalid(WHOSE, { leaseDuration }, { leaseDuration: DURATION });
    this.#watched = { elector, leaseDuration };
  }

  /** What is wrong, in words for people; undefined when all is well, also while there is nothing to watch. */
  check(): string | undefined {
    if (this.#watched === undefined) return undefined;
    const { elector, leaseDuration } = this.#watched;
    const { state } = elector;
    // A term without a lease has nothing to renew.
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
