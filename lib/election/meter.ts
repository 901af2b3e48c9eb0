/**
 * The port for metrics: the facts that an election reports besides its events. A meter only listens. It has no influence on
 * the election, and one that throws is not called again.
 */
import type { LeaseSnapshot } from './lease.js';
import { LeaderError, type LeaderErrorCode } from './errors.js';
import type { LeadershipTerm, TermEndReason } from './term.js';

/**
 * The state of the lease when a term began:
 * - `none`: there was no Lease, or the election uses none
 * - `clean`: it had no holder, as after a release
 * - `unclean`: it had expired with another holder, which was killed, was cut off, or could not release it
 * - `dead`: it had another holder, whose process was proven dead
 * - `own`: it had this process as its holder: an earlier term was lost, and nobody else has led since
 */
export type Takeover = 'none' | 'clean' | 'unclean' | 'dead' | 'own';

/**
 * The outcome of a renewal: it was carried out; it was refused because the lease had changed; or it failed or was not
 * answered in time.
 */
export type RenewalOutcome = 'renewed' | 'conflict' | 'failed';

/**
 * The outcome of a call of a gated method:
 * - `run`: it began, in a term
 * - `skipped`: nothing was done, and the caller gets no error (a job went back to waiting)
 * - `deferred`: it waits for a term
 * - `rejected`: the caller got an error that says this process does not lead
 * - `answered`: the function given as `otherwise` produced the result
 */
export type GatedCallOutcome = 'run' | 'skipped' | 'deferred' | 'rejected' | 'answered';

/** One fact for the metrics. Durations are milliseconds of the monotonic clock. */
export type ElectionFact =
  /** The elector has started. */
  | { readonly type: 'joined' }
  | { readonly type: 'termBegan'; readonly term: LeadershipTerm; readonly takeover: Takeover }
  | {
      readonly type: 'termEnded';
      readonly term: LeadershipTerm;
      readonly reason: TermEndReason;
      readonly lengthMs: number;
    }
  /** A renewal has an outcome, `latencyMs` after it was sent. Not reported for a renewal that is abandoned when the run ends. */
  | { readonly type: 'renewal'; readonly outcome: RenewalOutcome; readonly latencyMs: number }
  /** A renewal on top of the record seen last did not succeed, so the lease must be read before the next. */
  | { readonly type: 'slowPath' }
  | { readonly type: 'watch'; readonly isOpen: boolean }
  /** A term's work must stop, and the elector waits for this many running pieces. */
  | { readonly type: 'draining'; readonly pieces: number }
  /** An `error` event. */
  | { readonly type: 'failed'; readonly code: LeaderErrorCode }
  /** Reported by the gate, not by an elector. */
  | { readonly type: 'call'; readonly outcome: GatedCallOutcome };

/** Called synchronously with each fact, before observers get the event that belongs to it. */
export type ElectionMeter = (fact: ElectionFact) => void;

/** The election that a meter measures. */
export interface MeteredLease {
  readonly leaseName: string;
  /** The election's name in this application; `'default'` where it has none. */
  readonly election: string;
}

/**
 * Makes meters. `prometheusMetrics()` of `nestjs-leader/metrics` and `openTelemetryMetrics()` of `nestjs-leader/opentelemetry`
 * return one. It corresponds to client-go's `MetricsProvider`, whose `On`, `Off` and `SlowpathExercised` are the facts
 * `termBegan`, `termEnded` and `slowPath`.
 */
export interface MetricsProvider {
  /** The meter of one election. Two meters of one election write to the same series. */
  meter(lease: MeteredLease): ElectionMeter;
}

/**
 * The state of the lease when a write on top of `base` began a term of `identity`.
 *
 * @param dead what a process wrote about itself that was proven dead.
 */
export function takeoverOf(
  base: LeaseSnapshot | undefined,
  identity: string,
  dead: string | undefined,
): Takeover {
  if (base === undefined) return 'none';
  const { holderIdentity, process } = base.record;
  if (holderIdentity === '') return 'clean';
  if (process !== undefined && process === dead) return 'dead';
  return holderIdentity === identity ? 'own' : 'unclean';
}

/** Wraps `meter` so that it never throws: its first error goes to `failed`, and it is not called again. */
export function unfailingMeter(
  meter: ElectionMeter | undefined,
  failed: (error: LeaderError) => void,
): ElectionMeter {
  return unfailing(
    meter,
    "The election's meter threw and is not called again. The election continues.",
    failed,
  );
}

/** Wraps `listener` so that it never throws: its first error goes to `failed` with `message`, and it is not called again. */
export function unfailing<A extends readonly unknown[]>(
  listener: ((...args: A) => void) | undefined,
  message: string,
  failed: (error: LeaderError) => void,
): (...args: A) => void {
  let listening = listener;
  return (...args) => {
    try {
      listening?.(...args);
    } catch (cause) {
      listening = undefined;
      failed(new LeaderError('LEADER_LISTENER_FAILED', message, { cause }));
    }
  };
}
