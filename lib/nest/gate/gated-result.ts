/** Results that go on after the method has returned: they are part of the call until they have completed. */
import { types } from 'node:util';
import { StreamableFile } from '@nestjs/common';
import {
  EMPTY,
  Observable,
  catchError,
  defer,
  finalize,
  from,
  ignoreElements,
  isObservable,
  takeUntil,
} from 'rxjs';
import { runInTerm, type Disposer, type LeadershipTerm } from '../../election/index.js';
import { gateGenerator, gateIterable } from './gated-iteration.js';

/** The call that a result belongs to. */
export interface GatedCall {
  readonly election: string;
  readonly term: LeadershipTerm;
  /** To be called when the work has ended. */
  readonly leave: Disposer;
  /** What becomes of an error: a result, perhaps promised, or an error that it throws. */
  readonly failed: (error: unknown) => unknown;
}

/** The result as the caller gets it. The call has ended by then, or ends when what is returned completes. */
export function gateResult(result: unknown, call: GatedCall): unknown {
  if (typeof result !== 'object' || result === null) {
    call.leave();
    return result;
  }
  if (isPromise(result)) return gatePromise(result, call);
  if (isObservable(result)) return gateObservable(result, call);
  const stream = streamOf(result);
  if (stream !== undefined) {
    gateStream(stream, call);
    return result;
  }
  call.leave();
  if (isIterable(result)) return gateIterable(result, call);
  return types.isGeneratorObject(result) ? gateGenerator(result, call) : result;
}

function gatePromise(promise: PromiseLike<unknown>, call: GatedCall): PromiseLike<unknown> {
  const told = (): PromiseLike<unknown> =>
    promise.then(
      (value) => gateResult(value, call),
      (error: unknown) => {
        call.leave();
        return call.failed(error);
      },
    );
  // What is no plain promise may begin only now, as queries of Knex, Mongoose and Prisma do.
  if (promise.constructor === Promise) return told();
  try {
    return runInTerm(call.election, call.term, told);
  } catch (error) {
    call.leave();
    throw error;
  }
}

/**
 * Subscribed in the term and ended with its error. What is never subscribed to is not counted: nothing runs. A
 * subscription after the term gets its error at once.
 */
function gateObservable(
  source: Observable<unknown>,
  { election, term, leave, failed }: GatedCall,
): Observable<unknown> {
  const over = new Observable<never>((subscriber) => {
    const onOver = (): void => {
      subscriber.error(term.signal.reason);
    };
    term.signal.addEventListener('abort', onOver, { once: true });
    return () => {
      term.signal.removeEventListener('abort', onOver);
    };
  });
  const inTerm = new Observable((subscriber) =>
    runInTerm(election, term, () => source.subscribe(subscriber)),
  );
  const gated = defer(() => {
    if (term.isOver) throw term.signal.reason;
    return inTerm.pipe(takeUntil(over), finalize(term.enter()));
  }).pipe(
    catchError((error: unknown) => {
      const instead = failed(error);
      return isPromise(instead) ? from(instead).pipe(ignoreElements()) : EMPTY;
    }),
  );
  leave();
  return gated;
}

interface Stream {
  readonly closed?: boolean;
  readonly destroyed?: boolean;
  once(event: 'close' | 'error', listener: () => void): void;
  destroy(error: unknown): void;
  listenerCount(event: 'error'): number;
}

function gateStream(stream: Stream, { term, leave }: GatedCall): void {
  if (stream.closed === true || stream.destroyed === true) {
    leave();
    return;
  }
  const onOver = (): void => {
    // An 'error' that nobody listens to would end the process.
    if (stream.listenerCount('error') === 0) stream.once('error', () => undefined);
    stream.destroy(term.signal.reason);
  };
  term.signal.addEventListener('abort', onOver, { once: true });
  stream.once('close', () => {
    term.signal.removeEventListener('abort', onOver);
    leave();
  });
  // It may have come out of a promise, later than the signal.
  if (term.signal.aborted) onOver();
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function isIterable(value: object): value is AsyncIterable<unknown> {
  return Symbol.asyncIterator in value && !('getReader' in value);
}

/** A stream, or that in a `StreamableFile`. */
function streamOf(value: object): Stream | undefined {
  const inner: unknown = value instanceof StreamableFile ? value.getStream() : value;
  return isStream(inner) ? inner : undefined;
}

function isStream(value: unknown): value is Stream {
  if (typeof value !== 'object' || value === null) return false;
  return 'pipe' in value && 'destroy' in value && 'once' in value && typeof value.destroy === 'function';
}
