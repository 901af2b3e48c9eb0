import {
  runInTerm,
  type Disposer,
  type LeadershipTerm,
  type TermOverError,
} from '../../election/internal.js';

/** The call that an iteration belongs to. */
export interface IterationCall {
  readonly election: string;
  readonly term: LeadershipTerm;
  /** Handles an error: returns the last value or a promise of it, or throws. */
  readonly failed: (error: unknown) => unknown;
}

type Result = IteratorResult<unknown, unknown>;

/**
 * An async iterable as part of a gated call: each step runs in the term, and an iteration counts as work from its first step
 * until it has ended. Without a step nothing runs, so nothing is counted.
 */
export function gateIterable(source: AsyncIterable<unknown>, call: IterationCall): AsyncIterable<unknown> {
  return withIterators(source, (iterator) => gateIterator(iterator, call));
}

/** The same iterable, whose iterators are what `wrap` makes of them. All other members of the object are kept. */
export function withIterators(
  source: AsyncIterable<unknown>,
  wrap: (iterator: AsyncIterator<unknown>) => Required<AsyncIterator<unknown>>,
): AsyncIterable<unknown> {
  const isIterator = 'next' in source && typeof source.next === 'function';
  const one = isIterator ? wrap(source as AsyncIterator<unknown>) : undefined;
  const iterate = (): AsyncIterator<unknown> => one ?? wrap(openedLate(source));
  // The proxy of a frozen object must not change its members, so it gets an object that inherits them.
  const shown = Object.isFrozen(source) ? (Object.create(source) as typeof source) : source;
  return new Proxy(shown, {
    get(_, key): unknown {
      if (key === Symbol.asyncIterator) return iterate;
      if (one !== undefined && (key === 'next' || key === 'return' || key === 'throw')) return one[key];
      const value: unknown = Reflect.get(source, key, source);
      return typeof value === 'function' ? (value.bind(source) as unknown) : value;
    },
  });
}

/** Creates the iterator at the first step, which is in the term: that may send a query. */
function openedLate(source: AsyncIterable<unknown>): AsyncIterator<unknown> {
  let opened: AsyncIterator<unknown> | undefined;
  return {
    next(...args: [] | [unknown]) {
      opened ??= source[Symbol.asyncIterator]();
      return opened.next(...args);
    },
    return: async (value?: unknown) =>
      opened?.return === undefined ? { done: true, value: await value } : opened.return(value),
    throw: (error) => (opened?.throw === undefined ? Promise.reject(error as Error) : opened.throw(error)),
  };
}

/** A generator that is not async. Nothing of it runs between two steps, so a hand-over need not wait for it. */
export function gateGenerator(source: Generator, { election, term, failed }: IterationCall): Generator {
  const step = (take: () => Result): Result => {
    try {
      return runInTerm(election, term, take);
    } catch (error) {
      return { done: true, value: failed(error) };
    }
  };
  const next = (...args: [] | [unknown]): Result => {
    if (!term.isOver) return step(() => source.next(...args));
    step(() => source.return(undefined));
    return { done: true, value: failed(errorOfOver(term)) };
  };
  const gated = Object.create(Object.getPrototypeOf(source) as object) as Generator;
  return Object.assign(gated, {
    next,
    return: (value: unknown) => step(() => source.return(value)),
    throw: (error: unknown) => step(() => source.throw(error)),
  });
}

function gateIterator(
  source: AsyncIterator<unknown>,
  { election, term, failed }: IterationCall,
): Required<AsyncIterator<unknown>> {
  const { signal } = term;
  let leave: Disposer | undefined;
  let last: Promise<unknown> = Promise.resolve();

  const ended = (): void => {
    signal.removeEventListener('abort', onOver);
    leave?.();
  };
  const lastResult = async (error: unknown): Promise<Result> => ({ done: true, value: await failed(error) });
  const step = async (take: () => Promise<Result>): Promise<Result> => {
    try {
      const taking = runInTerm(election, term, take);
      last = taking;
      const result = await taking;
      if (result.done === true) ended();
      return result;
    } catch (error) {
      ended();
      return lastResult(error);
    }
  };
  const finish = async (value?: unknown): Promise<Result> =>
    source.return === undefined ? { done: true, value } : source.return(value);
  // `finish` runs the `finally` of a generator, also if nobody asks for more, and wakes an iterator that waits for its next
  // value. The work has ended when the last step and `finish` have.
  const onOver = (): void => {
    void Promise.allSettled([last, runInTerm(election, term, finish)]).then(ended);
  };
  const begin = (): void => {
    if (leave !== undefined) return;
    leave = term.enter();
    signal.addEventListener('abort', onOver, { once: true });
  };
  /**
   * The reader gets the last result as soon as the signal fires, however long the step still takes. By hand, because `bounded`
   * makes a controller for each wait: a step would take four times as long.
   */
  const untilOver = (taking: Promise<Result>): Promise<Result> =>
    new Promise((resolve, reject) => {
      const tell = (): void => {
        resolve(lastResult(signal.reason));
      };
      signal.addEventListener('abort', tell, { once: true });
      void taking.then(resolve, reject).finally(() => {
        signal.removeEventListener('abort', tell);
      });
    });

  return {
    async next(...args: [] | [unknown]) {
      if (term.isOver) {
        await step(finish);
        return lastResult(errorOfOver(term));
      }
      begin();
      return untilOver(step(() => source.next(...args)));
    },
    return: async (value) => step(async () => finish(await value)),
    throw: (error) =>
      step(() => (source.throw === undefined ? Promise.reject(error as Error) : source.throw(error))),
  };
}

/** The error of a term that is over. Ends a term that has run out, if it has not ended yet. */
export function errorOfOver(term: LeadershipTerm): TermOverError {
  try {
    term.throwIfOver();
  } catch (error) {
    return error as TermOverError;
  }
  throw new Error('The term is not over.');
}
