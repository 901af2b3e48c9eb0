import type { TermGuard } from '../elector.js';

/**
 * Splits the guard of a term on two Leases into two guards, one for each Lease. The guard is called for the second Lease,
 * which is acquired last. The first Lease is not released before the guard has finished.
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
        // It may finish when the next term has started.
        const endThis = end;
        // A guard that has timed out counts as finished.
        signal.addEventListener('abort', endThis);
        try {
          await guard.atEnd(term, signal);
        } finally {
          endThis();
        }
      },
    },
  };
}
