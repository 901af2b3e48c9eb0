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
import {
  isLeaderError,
  onAbort,
  runInTerm,
  type Disposer,
  type LeadershipTerm,
} from '../../election/internal.js';
import { gateGenerator, gateIterable } from './gated-iteration.js';

/** The call that a result belongs to. */
export interface GatedCall {
  readonly election: string;
  readonly term: LeadershipTerm;
  /** To be called when the work has ended. */
  readonly leave: Disposer;
  /** Handles an error: returns a result or a promise of one, or throws. */
  readonly failed: (error: unknown) => unknown;
}

/** Counts a call as work of the term. Undefined if the term is over, which may have expired since the caller looked. */
export function enterTerm(term: LeadershipTerm): Disposer | undefined {
  try {
    return term.enter();
  } catch (error) {
    if (isLeaderError(error, 'LEADER_TERM_OVER')) return undefined;
    throw error;
  }
}

/** Runs `work` as work of the term that the call has entered. Returns the result as the caller gets it. */
export function runGated(work: () => unknown, call: GatedCall): unknown {
  let result: unknown;
  try {
    result = runInTerm(call.election, call.term, work);
  } catch (error) {
    call.leave();
    return call.failed(error);
  }
  return gateResult(result, call);
}

/** The results of calls that wait until this process leads. They are no work of the present term, which may end before. */
export const waiting = new WeakSet<object>();

/**
 * The result as the caller gets it. A promise, observable, stream or iterable is part of the call, which ends when that
 * completes; with any other result the call has ended.
 */
export function gateResult(result: unknown, call: GatedCall): unknown {
  if (typeof result !== 'object' || result === null || waiting.has(result)) {
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
  if (promise.constructor === Promise) return settled(promise, call);
  // An object with `then` that is not a Promise may begin its work only now, as queries of Knex, Mongoose and Prisma do.
  try {
    return runInTerm(call.election, call.term, () => settled(promise, call));
  } catch (error) {
    call.leave();
    throw error;
  }
}

/** What the caller gets when the promise settles. */
function settled(promise: PromiseLike<unknown>, call: GatedCall): PromiseLike<unknown> {
  return promise.then(
    (value) => gateResult(value, call),
    (error: unknown) => {
      call.leave();
      return call.failed(error);
    },
  );
}

/**
 * An observable that is subscribed to in the term, and ends with the term's error. Without a subscription nothing runs, so
 * nothing is counted. A subscription after the term gets the term's error at once.
 */
function gateObservable(
  source: Observable<unknown>,
  { election, term, leave, failed }: GatedCall,
): Observable<unknown> {
  const over = new Observable<never>((subscriber) =>
    onAbort(term.signal, () => {
      subscriber.error(term.signal.reason);
    }),
  );
  const inTerm = new Observable((subscriber) =>
    runInTerm(election, term, () => source.subscribe(subscriber)),
  );
  const gated = defer(() => {
    term.throwIfOver();
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

/** What the gate needs of a stream of Node. */
export interface Stream {
  readonly closed?: boolean;
  readonly destroyed?: boolean;
  readonly errored?: unknown;
  once(event: 'close' | 'error', listener: () => void): void;
  destroy(error: unknown): void;
  listenerCount(event: 'error'): number;
}

function gateStream(stream: Stream, { term, leave }: GatedCall): void {
  if (stream.closed === true || stream.destroyed === true) {
    leave();
    return;
  }
  let ignoreSignal: Disposer = () => undefined;
  stream.once('close', () => {
    ignoreSignal();
    leave();
  });
  // A stream from a promise may come later than the signal, and is destroyed at once.
  ignoreSignal = onAbort(term.signal, () => {
    // An 'error' that nobody listens to would end the process.
    if (stream.listenerCount('error') === 0) stream.once('error', () => undefined);
    stream.destroy(term.signal.reason);
  });
}

/** Whether it is a promise, of whatever library. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Whether it is an async iterable that the gate follows. */
export function isIterable(value: object): value is AsyncIterable<unknown> {
  return Symbol.asyncIterator in value && !('getReader' in value);
}

/** The stream, also that of a `StreamableFile`. */
export function streamOf(value: object): Stream | undefined {
  const inner: unknown = value instanceof StreamableFile ? value.getStream() : value;
  return isStream(inner) ? inner : undefined;
}

function isStream(value: unknown): value is Stream {
  if (typeof value !== 'object' || value === null) return false;
  return 'pipe' in value && 'destroy' in value && 'once' in value && typeof value.destroy === 'function';
}
