import type { TermGuard } from '../elector.js';

/**
 * Makes two guards, one for each Lease, of the guard of a term on both. It is called for the term on the second Lease, which
 * is taken last; the first Lease is not released before the guard has finished.
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
        // A guard that is no longer waited for counts as finished.
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
