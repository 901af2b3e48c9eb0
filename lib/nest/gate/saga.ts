/**
 * A saga of @nestjs/cqrs is called once, at start, when nobody leads yet, and what it returns is subscribed to for good.
 * Under a gate it is called anew in each term, which ends what it returned; in between it rests.
 */
import { EMPTY, Observable, catchError, concat, concatMap, defer, repeat } from 'rxjs';
import { isLeaderError, type LeadershipTerm } from '../../election/index.js';
import type { LeaderService } from '../leader.service.js';

/** Calls in each term until this process shuts down. What fails for a reason of its own ends it, as without a gate. */
export function inEachTerm(leader: LeaderService, call: () => unknown): Observable<unknown> {
  // Perhaps called by the work that ends the term, which does not wait for the saga.
  return defer(() => leader.presentOrNextTerm()).pipe(
    // One that completes of itself is not called again in the same term.
    concatMap((term) => concat(call() as Observable<unknown>, endOf(term))),
    repeat(),
    catchError((error: unknown) => {
      if (isLeaderError(error, 'LEADER_STOPPED')) return EMPTY;
      throw error;
    }),
  );
}

function endOf({ signal }: LeadershipTerm): Observable<never> {
  return new Observable((subscriber) => {
    const onOver = (): void => {
      subscriber.complete();
    };
    if (signal.aborted) onOver();
    signal.addEventListener('abort', onOver, { once: true });
    return () => {
      signal.removeEventListener('abort', onOver);
    };
  });
}
