import { EMPTY, Observable, catchError, concat, concatMap, defer, repeat } from 'rxjs';
import { isLeaderError, onAbort, type LeadershipTerm } from '../../election/index.js';
import type { LeaderService } from '../leader.service.js';

/**
 * Calls a saga in each term until this process shuts down. @nestjs/cqrs calls a saga once, at start, when nobody leads yet, and
 * subscribes to its result for good. Under a gate the saga is called again in each term, and its result ends with the term. An
 * error of the saga itself ends it, as without a gate.
 */
export function inEachTerm(leader: LeaderService, call: () => unknown): Observable<unknown> {
  // Not `whenLeader`: work of a term that is being handed over may call this, and does not wait for the saga.
  return defer(() => leader.presentOrNextTerm()).pipe(
    // A saga that completes by itself is not called again in the same term.
    concatMap((term) => concat(call() as Observable<unknown>, endOf(term))),
    repeat(),
    catchError((error: unknown) => {
      if (isLeaderError(error, 'LEADER_STOPPED')) return EMPTY;
      throw error;
    }),
  );
}

function endOf({ signal }: LeadershipTerm): Observable<never> {
  return new Observable((subscriber) =>
    onAbort(signal, () => {
      subscriber.complete();
    }),
  );
}
