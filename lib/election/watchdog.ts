import { after, type Clock } from './clock.js';
import type { Elector } from './elector.js';
import { InvalidOptionsError } from './errors.js';
import { isDuration, show } from './option-values.js';
import { overdueBy } from './overdue.js';
import { SystemClock } from './system-clock.js';

/** What a {@link Watchdog} is made of. Milliseconds. */
export interface WatchdogParts {
  /** How long after its lease ran out a process may still act as leader. Default 20000. */
  readonly maxTolerableExpiredLease?: number;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock;
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
    refuseOther({ maxTolerableExpiredLease });
    this.#maxTolerableExpiredLease = maxTolerableExpiredLease;
    this.#clock = clock;
  }

  /**
   * From now on it is about this elector, whose lease lasts `leaseDuration` milliseconds.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`
   */
  watch(elector: Pick<Elector, 'state'>, leaseDuration = 15_000): void {
    refuseOther({ leaseDuration });
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

function refuseOther(durations: Readonly<Record<string, unknown>>): void {
  const violations = Object.entries(durations)
    .filter(([, value]) => !isDuration(value))
    .map(([name, value]) => `${name} is ${show(value)}: it must be a number of milliseconds, 0 or more`);
  if (violations.length > 0) throw new InvalidOptionsError(violations, 'The options of a Watchdog');
}
