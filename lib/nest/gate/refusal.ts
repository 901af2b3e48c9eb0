import { HttpException } from '@nestjs/common';
import { EMPTY, Observable, catchError, concat, concatMap, defer as onSubscribe, repeat } from 'rxjs';
import {
  NotLeaderError,
  isLeaderError,
  onAbort,
  type GatedCallOutcome,
  type LeadershipTerm,
  type TermOverError,
} from '../../election/internal.js';
import { bullJobIn, putBackToBull } from '../bull/jobs.js';
import { jobIn, putBack } from '../bullmq/jobs.js';
import type { LeaderHandle } from '../leader-handle.js';
import { fail, leaderToTell, type Failure } from './failure.js';
import { waiting } from './gated-result.js';
import type { KindOfHandler } from './handler-kind.js';

/** The argument of a function `otherwise`. */
export interface RefusedCall {
  /** The identity of the leader; `''` if nobody is known to lead. */
  readonly leader: string;
  /** The identity of this process. */
  readonly identity: string;
  readonly election: string;
  /** The name of the method. */
  readonly method: string;
  readonly instance: unknown;
  readonly args: readonly unknown[];
}

/** What to do with a call while this process does not lead. */
export type Otherwise = 'skip' | 'reject' | ((call: RefusedCall) => unknown);

/** A call that came while this process does not lead. */
export interface Refusal {
  readonly kind: KindOfHandler;
  readonly otherwise: Otherwise | undefined;
  readonly leader: LeaderHandle;
  /** The method returns a promise, so it must not throw. */
  readonly isAsync: boolean;
  readonly call: RefusedCall;
  /** The results of the calls that wait until this process leads, by instance. */
  readonly deferred: WeakMap<object, Promise<unknown>>;
  /** Repeats the call. */
  readonly again: () => unknown;
}

/** Handles the call as its kind, or `otherwise`, requires. */
export function refuse(refusal: Refusal): unknown {
  const { onFollower, promise } = refusal.kind;
  const result = settle(refusal.isAsync || promise, () => answer(refusal));
  if (onFollower === 'wait' && result instanceof Promise) waiting.add(result);
  return result;
}

/** Runs `work` now. For an async method the result or error becomes a promise. */
export function settle(isAsync: boolean, work: () => unknown): unknown {
  if (!isAsync) return work();
  return new Promise((resolve) => {
    resolve(work());
  });
}

/** A call that failed because its term ended. */
export interface Interrupted {
  /** What the method threw. */
  readonly error: unknown;
  readonly args: readonly unknown[];
}

/**
 * The result of a call that failed because its term ended. That is as intended, so only a caller that waits for the result gets an
 * error.
 */
export function answerInterrupted(failure: Failure, { error, args }: Interrupted): unknown {
  const { onTermOver } = failure.kind;
  if (typeof onTermOver === 'function') return onTermOver(failure.error as TermOverError);
  switch (onTermOver) {
    case 'ignore':
      return undefined;
    case 'rethrow':
      throw error;
    case 'fail':
      return fail(failure);
    case 'putBack': {
      const job = bullJobIn(args);
      if (job === undefined) throw error;
      return putBackToBull(job, args, failure.error);
    }
  }
}

function answer(refusal: Refusal): unknown {
  const { otherwise = refusal.kind.onFollower, leader, again } = refusal;
  if (typeof otherwise === 'function') {
    count(refusal, 'answered');
    return otherwise(refusal.call);
  }
  switch (otherwise) {
    case 'skip':
      return skip(refusal);
    case 'wait':
      count(refusal, 'deferred');
      return defer(refusal);
    case 'eachTerm':
      count(refusal, 'deferred');
      return inEachTerm(leader, again);
    case 'reject':
      return reject(refusal);
    case 'putBack':
      return leaveToLeader(refusal);
  }
}

function count({ leader }: Refusal, outcome: GatedCallOutcome): void {
  leader.measure?.({ type: 'call', outcome });
}

function skip(refusal: Refusal): unknown {
  const { onFollower, error } = refusal.kind;
  // A return would mean that the job is completed.
  if (onFollower === 'putBack') return leaveToLeader(refusal);
  count(refusal, 'skipped');
  // The only way in which a method can answer without a body on every platform.
  if (error === 'route') throw new HttpException('', 204);
  return undefined;
}

function leaveToLeader(refusal: Refusal): unknown {
  const { leader, call } = refusal;
  const error = new NotLeaderError(leader.leaseName, call.leader);
  const job = jobIn(call.args);
  const bullJob = bullJobIn(call.args);
  if (job === undefined && bullJob === undefined) return reject(refusal);
  count(refusal, 'skipped');
  if (job !== undefined) return putBack(job, call.args, error);
  return bullJob && putBackToBull(bullJob, call.args, error);
}

function reject(refusal: Refusal): unknown {
  const { kind, leader } = refusal;
  count(refusal, 'rejected');
  return fail({ kind, error: new NotLeaderError(leader.leaseName, leaderToTell(leader)), leader });
}

/** A timeout is called once, so one call for each instance waits, however often it is called. */
function defer(refusal: Refusal): Promise<unknown> {
  const { deferred, call } = refusal;
  const instance = call.instance as object;
  const run = deferred.get(instance) ?? whenLeading(refusal).finally(() => deferred.delete(instance));
  deferred.set(instance, run);
  return run;
}

/** Waits until this process leads, or it is certain that it never will, because the method would not be called again. */
async function whenLeading({ leader, again }: Refusal): Promise<unknown> {
  try {
    await leader.whenLeader();
  } catch (error) {
    if (leadsNoMore(error)) return undefined;
    throw error;
  }
  return again();
}

/** Whether a wait has ended because no term begins any more: the application shuts down, or this process does not campaign. */
function leadsNoMore(error: unknown): boolean {
  return isLeaderError(error, 'LEADER_STOPPED') || isLeaderError(error, 'LEADER_NOT_CAMPAIGNING');
}

/**
 * Calls a saga in each term until this process shuts down. @nestjs/cqrs calls a saga once, at start, when nobody leads yet, and
 * subscribes to its result for good. Under a gate the saga is called again in each term, and its result ends with the term. An
 * error of the saga itself ends it, as without a gate.
 */
export function inEachTerm(leader: LeaderHandle, call: () => unknown): Observable<unknown> {
  // Not `whenLeader`: work of a term that is being handed over may call this, and does not wait for the saga.
  return onSubscribe(() => leader.presentOrNextTerm()).pipe(
    // A saga that completes by itself is not called again in the same term.
    concatMap((term) => concat(call() as Observable<unknown>, endOf(term))),
    repeat(),
    catchError((error: unknown) => {
      if (leadsNoMore(error)) return EMPTY;
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
