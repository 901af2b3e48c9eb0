import type { GatedWork } from './gated-work.js';

/** What a race needs of its term. */
interface Racing {
  readonly signal: AbortSignal;
  readonly isOver: boolean;
}

/** Settles as `operation` does, or as the term's signal as soon as the term is over; work of the term until it settles. */
export function raceTerm<T>(term: Racing, work: GatedWork, operation: PromiseLike<T>): Promise<T> {
  // Whether the term is over or not: what has begun runs.
  const leave = work.enter();
  const { signal } = term;
  return new Promise<T>((resolve, reject) => {
    const stop = (): void => {
      reject(signal.reason as Error);
    };
    const settle = (): void => {
      // The signal may be late, where the event loop was blocked.
      if (term.isOver) stop();
      signal.removeEventListener('abort', stop);
      leave();
    };
    if (term.isOver) stop();
    else signal.addEventListener('abort', stop);
    void Promise.resolve(operation).finally(settle).then(resolve, reject);
  });
}
