import type { TermGuard } from '../term-guard.js';

/**
 * The guard of a term on two Leases, as one of each: it acts around the term of the second, which is the last to be taken,
 * and the first is not given up before it has.
 */
export function jointGuard(guard: TermGuard): { readonly first: TermGuard; readonly second: TermGuard } {
  let ended = Promise.resolve();
  let end = (): void => undefined;
  return {
    first: { atStart: () => Promise.resolve(), atEnd: () => ended },
    second: {
      atStart: (term, signal) => {
        ended = new Promise((resolve) => {
          end = resolve;
        });
        return guard.atStart(term, signal);
      },
      atEnd: async (term, signal) => {
        // Given up is ended, too.
        signal.addEventListener('abort', end, { once: true });
        try {
          await guard.atEnd(term, signal);
        } finally {
          end();
        }
      },
    },
  };
}
