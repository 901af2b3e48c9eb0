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
        run: (work) => {
          const once = new Once(work);
          attempt(() => {
            try {
              call.run(once.call);
            } catch (error) {
              if (!once.threw(error)) throw error;
            }
          });
          return once.call();
        },
        end: (failure) => {
          attempt(() => {
            call.end(failure);
          });
        },
      };
    },
  };
}

/** Runs `work` at the first call. Each call returns or throws what that did. */
class Once<T> {
  readonly #work: () => T;
  #outcome: { readonly value: T } | { readonly error: unknown } | undefined;

  constructor(work: () => T) {
    this.#work = work;
  }

  readonly call = (): T => {
    this.#outcome ??= outcomeOf(this.#work);
    if ('error' in this.#outcome) throw this.#outcome.error;
    return this.#outcome.value;
  };

  threw(error: unknown): boolean {
    return this.#outcome !== undefined && 'error' in this.#outcome && this.#outcome.error === error;
  }
}

function outcomeOf<T>(work: () => T): { readonly value: T } | { readonly error: unknown } {
  try {
    return { value: work() };
  } catch (error) {
    return { error };
  }
}
