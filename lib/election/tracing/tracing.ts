/**
 * The port for traces: the terms of an election, and the calls of gated methods. A tracer only listens. It has no influence on the
 * election.
 */
import { LeaderError } from '../errors.js';
import type { MeteredLease } from '../meter.js';
import type { LeadershipTerm, TermEndReason } from '../term.js';

/** One call of a gated method. */
export interface CallTrace {
  /** Runs a part of the call, which may be the span of what it calls. Returns and throws what `work` does. */
  run<T>(work: () => T): T;
  /** The call has ended; with `failure`, by an error. Later calls of this function have no effect. */
  end(failure?: { readonly error: unknown }): void;
}

/** Traces one election. */
export interface ElectionTracer {
  /** A term has begun. The returned function is called with the reason when it has ended. */
  term(term: LeadershipTerm): (reason: TermEndReason) => void;
  /** A call begins, in a term. `name` is that of the class and the method. Undefined: it is not traced. */
  call(name: string, term: LeadershipTerm): CallTrace | undefined;
}

/** Makes tracers: `openTelemetryTraces()` of `nestjs-leader/opentelemetry` returns one. */
export interface TracesProvider {
  /** The tracer of one election. */
  tracer(lease: MeteredLease): ElectionTracer;
}

/** Wraps `tracer` so that it never throws: its first error goes to `failed`, and it is not called again. */
export function unfailingTracer(
  tracer: ElectionTracer,
  failed: (error: LeaderError) => void,
): ElectionTracer {
  let isUsed = true;
  const attempt = <T>(work: () => T): T | undefined => {
    if (!isUsed) return undefined;
    try {
      return work();
    } catch (cause) {
      isUsed = false;
      const message = "The election's tracer threw and is not called again. The election continues.";
      failed(new LeaderError('LEADER_LISTENER_FAILED', message, { cause }));
      return undefined;
    }
  };
  return {
    term: (term) => {
      const end = attempt(() => tracer.term(term));
      return (reason) => {
        attempt(() => end?.(reason));
      };
    },
    call: (name, term) => {
      const call = attempt(() => tracer.call(name, term));
      if (call === undefined) return undefined;
      return {
        run: (work) => call.run(work),
        end: (failure) => {
          attempt(() => {
            call.end(failure);
          });
        },
      };
    },
  };
}
