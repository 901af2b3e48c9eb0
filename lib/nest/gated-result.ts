/** Results that go on after the method has returned: they are part of the call until they have completed. */
import { Observable, isObservable } from 'rxjs';
import { runInTerm, type Disposer, type LeadershipTerm } from '../election/index.js';

/** The call that a result belongs to. */
export interface GatedCall {
  readonly election: string;
  readonly term: LeadershipTerm;
  /** To be called when the work has ended. */
  readonly leave: Disposer;
}

/** The result as the caller gets it. The call has ended by then, or ends when what is returned completes. */
export function gateResult(result: unknown, call: GatedCall): unknown {
  if (typeof result !== 'object' || result === null) {
    call.leave();
    return result;
  }
  if (isPromise(result)) return gatePromise(result, call);
  if (isObservable(result)) return gateObservable(result, call);
  if (isGenerator(result)) return gateGenerator(result, call);
  if (isStream(result)) gateStream(result, call);
  else call.leave();
  return result;
}

function gatePromise(promise: PromiseLike<unknown>, call: GatedCall): PromiseLike<unknown> {
  return promise.then(
    (value) => gateResult(value, call),
    (error: unknown) => {
      call.leave();
      throw error;
    },
  );
}

/**
 * Subscribed in the term and ended with its error. What is never subscribed to is not counted: nothing runs. A
 * subscription after the term gets its error at once.
 */
function gateObservable(
  source: Observable<unknown>,
  { election, term, leave }: GatedCall,
): Observable<unknown> {
  const gated = new Observable<unknown>((subscriber) => {
    if (term.isOver) {
      subscriber.error(term.signal.reason);
      return undefined;
    }
    const done = term.enter();
    const onOver = (): void => {
      subscriber.error(term.signal.reason);
    };
    term.signal.addEventListener('abort', onOver, { once: true });
    subscriber.add(() => {
      term.signal.removeEventListener('abort', onOver);
      done();
    });
    return runInTerm(election, term, () => source.subscribe(subscriber));
  });
  leave();
  return gated;
}

function gateGenerator(
  source: AsyncGenerator<unknown, unknown, unknown>,
  { election, term, leave }: GatedCall,
): AsyncIterableIterator<unknown, unknown, unknown> {
  const inTerm = async (
    step: () => Promise<IteratorResult<unknown, unknown>>,
  ): Promise<IteratorResult<unknown, unknown>> => {
    try {
      const result = await runInTerm(election, term, step);
      if (result.done === true) leave();
      return result;
    } catch (error) {
      leave();
      throw error;
    }
  };
  const next = async (value?: unknown): Promise<IteratorResult<unknown, unknown>> => {
    if (!term.isOver) return inTerm(() => source.next(value));
    // Lets the generator run its `finally`, then tells the consumer why it ended early.
    await inTerm(() => source.return(undefined));
    throw term.signal.reason;
  };
  return {
    next,
    return: (value) => inTerm(() => source.return(value)),
    throw: (error) => inTerm(() => source.throw(error)),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

interface Stream {
  once(event: 'close', listener: () => void): void;
  destroy(error: unknown): void;
}

function gateStream(stream: Stream, { term, leave }: GatedCall): void {
  const onOver = (): void => {
    stream.destroy(term.signal.reason);
  };
  term.signal.addEventListener('abort', onOver, { once: true });
  stream.once('close', () => {
    term.signal.removeEventListener('abort', onOver);
    leave();
  });
}

function isPromise(value: object): value is PromiseLike<unknown> {
  return 'then' in value && typeof value.then === 'function';
}

function isGenerator(value: object): value is AsyncGenerator<unknown, unknown, unknown> {
  return Symbol.asyncIterator in value && 'next' in value && 'return' in value;
}

function isStream(value: object): value is Stream {
  return 'pipe' in value && 'destroy' in value && 'once' in value && typeof value.destroy === 'function';
}
