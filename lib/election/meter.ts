/**
 * What an election tells in figures, beside its events: the port for metrics. A meter only listens. It never takes part in
 * a decision, and one that throws is told nothing more.
 */
import type { LeaseSnapshot } from './lease.js';
import { LeaderError, type LeaderErrorCode } from './errors.js';
import type { LeadershipTerm, TermEndReason } from './term.js';

/**
 * In which state a term found the lease that it began on:
 * - `none`: there was none, or the election has none
 * - `clean`: without a holder, as a release leaves it
 * - `unclean`: with another holder, who had let it run out: it crashed, was cut off, or could not release
 * - `own`: with this process as its holder: an earlier term was lost without anybody else having led
 */
export type Takeover = 'none' | 'clean' | 'unclean' | 'own';

/**
 * What came of a renewal: it was carried out; the lease was not what it was based on; or it failed, or was not answered in
 * time.
 */
export type RenewalOutcome = 'renewed' | 'conflict' | 'failed';

/**
 * What came of a call of a gated method:
 * - `run`: it began, in a term
 * - `skipped`: nothing was done, and nobody need hear of it (a job went back to waiting)
 * - `deferred`: it waits for a term
 * - `rejected`: its caller was told that this process does not lead
 * - `answered`: the function given as `otherwise` gave the result
 */
export type GatedCallOutcome = 'run' | 'skipped' | 'deferred' | 'rejected' | 'answered';

/** One thing that is worth a figure. Durations are milliseconds of the monotonic clock. */
export type ElectionFact =
  /** The elector runs from now on. */
  | { readonly type: 'joined' }
  | { readonly type: 'termBegan'; readonly term: LeadershipTerm; readonly takeover: Takeover }
  | {
      readonly type: 'termEnded';
      readonly term: LeadershipTerm;
      readonly reason: TermEndReason;
      readonly lengthMs: number;
    }
  /** A renewal came to something; counted from when it was sent. Not told of one that is given up at the end of a run. */
  | { readonly type: 'renewal'; readonly outcome: RenewalOutcome; readonly latencyMs: number }
  /** A renewal on top of what was seen last did not go through, so the lease must be read before the next. */
  | { readonly type: 'slowPath' }
  | { readonly type: 'watch'; readonly isOpen: boolean }
  /** A term's work must stop, and so many pieces of it run. They are waited for. */
  | { readonly type: 'draining'; readonly pieces: number }
  /** What is told as an `error` event. */
  | { readonly type: 'failed'; readonly code: LeaderErrorCode }
  /** Told by whoever gates, not by an elector. */
  | { readonly type: 'call'; readonly outcome: GatedCallOutcome };

/** Is called synchronously with each fact, before observers hear of the event that goes with it. */
export type ElectionMeter = (fact: ElectionFact) => void;

/** What a meter is for. */
export interface MeteredLease {
  readonly leaseName: string;
  /** The election's name in this application; `'default'` where it has none. */
  readonly election: string;
}

/**
 * Makes meters: what `prometheusMetrics()` of `nestjs-leader/metrics` and `openTelemetryMetrics()` of
 * `nestjs-leader/opentelemetry` give. client-go's `MetricsProvider`, with `On`, `Off` and `SlowpathExercised` as the facts
 * `termBegan`, `termEnded` and `slowPath`.
 */
export interface MetricsProvider {
  /** The meter of one lease. Asked for twice, both tell the same series. */
  meter(lease: MeteredLease): ElectionMeter;
}

/** In which state a write found the lease that began a term of `identity`. `base`: what it was conditional on. */
export function takeoverOf(base: LeaseSnapshot | undefined, identity: string): Takeover {
  if (base === undefined) return 'none';
  const { holderIdentity } = base.record;
  if (holderIdentity === '') return 'clean';
  return holderIdentity === identity ? 'own' : 'unclean';
}

/** `meter` as something that never throws. When it does, `failed` is told so, and from then on it is told nothing. */
export function unfailingMeter(
  meter: ElectionMeter | undefined,
  failed: (error: LeaderError) => void,
): ElectionMeter {
  return unfailing(
    meter,
    "The election's meter threw, and is told nothing more. The election goes on.",
    failed,
  );
}

/** `listener` as something that never throws. When it does, `failed` is told `message`, and from then on it is told nothing. */
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
