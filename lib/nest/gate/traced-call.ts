import { Observable, isObservable } from 'rxjs';
import type { CallTrace } from '../../election/internal.js';
import { withIterators } from './gated-iteration.js';
import { isIterable, isPromise, streamOf, waiting, type Stream } from './gated-result.js';

/** `work` as a traced call: with whatever it returns, the trace lasts until that has ended. */
export function traced(work: () => unknown, trace: CallTrace | undefined): () => unknown {
  if (trace === undefined) return work;
  return () => {
    let result: unknown;
    try {
      result = trace.run(work);
    } catch (error) {
      trace.end({ error });
      throw error;
    }
    return traceResult(result, trace);
  };
}

function traceResult(result: unknown, trace: CallTrace): unknown {
  if (typeof result !== 'object' || result === null || waiting.has(result)) {
    trace.end();
    return result;
  }
  if (isPromise(result)) return tracePromise(result, trace);
  if (isObservable(result)) return traceObservable(result, trace);
  const stream = streamOf(result);
  if (stream !== undefined) {
    traceStream(stream, trace);
    return result;
  }
  if (isIterable(result)) return withIterators(result, (iterator) => traceIterator(iterator, trace));
  trace.end();
  return result;
}

function traceStream(stream: Stream, trace: CallTrace): void {
  const end = (): void => {
    const { errored } = stream;
    trace.end(errored === undefined || errored === null ? undefined : { error: errored });
  };
  if (stream.closed === true || stream.destroyed === true) end();
  // A listener for 'error' would hide that nobody else listens.
  else stream.once('close', end);
}

/** A query that begins in `then` begins in the trace. */
function tracePromise(promise: PromiseLike<unknown>, trace: CallTrace): PromiseLike<unknown> {
  return trace.run(() =>
    promise.then(
      (value) => traceResult(value, trace),
      (error: unknown) => {
        trace.end({ error });
        throw error;
      },
    ),
  );
}

/** The first subscription that ends is the end of the call. */
function traceObservable(source: Observable<unknown>, trace: CallTrace): Observable<unknown> {
  return new Observable((subscriber) => {
    const subscription = trace.run(() =>
      source.subscribe({
        next: (value) => {
          subscriber.next(value);
        },
        error: (error: unknown) => {
          trace.end({ error });
          subscriber.error(error);
        },
        complete: () => {
          subscriber.complete();
        },
      }),
    );
    return () => {
      subscription.unsubscribe();
      trace.end();
    };
  });
}

type Result = IteratorResult<unknown, unknown>;

/** The first iteration that ends is the end of the call. */
function traceIterator(source: AsyncIterator<unknown>, trace: CallTrace): Required<AsyncIterator<unknown>> {
  const step = async (take: () => Promise<Result>): Promise<Result> => {
    try {
      const result = await trace.run(take);
      if (result.done === true) trace.end();
      return result;
    } catch (error) {
      trace.end({ error });
      throw error;
    }
  };
  return {
    next: (...args: [] | [unknown]) => step(() => source.next(...args)),
    return: (value) =>
      step(async () =>
        source.return === undefined ? { done: true, value: await value } : source.return(value),
      ),
    throw: (error) =>
      step(() => (source.throw === undefined ? Promise.reject(error as Error) : source.throw(error))),
  };
}
