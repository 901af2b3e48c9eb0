import { HttpException } from '@nestjs/common';
import { EMPTY, Observable, catchError, concat, concatMap, defer as onSubscribe, repeat } from 'rxjs';
import {
  NotLeaderError,
  isLeaderError,
  onAbort,
  type GatedCallOutcome,
  type LeadershipTerm,
} from '../../election/internal.js';
import { jobIn, putBack } from '../bullmq/jobs.js';
import type { LeaderHandle } from '../leader-handle.js';
import { fail, leaderToTell, type Failure } from './failure.js';
import type { HandlerKind } from './handler-kind.js';

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
  readonly kind: HandlerKind;
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
  return settle(refusal.isAsync || expectsPromise(refusal.kind), () => answer(refusal));
}

/** Whether callers of this kind expect a promise from every method. */
function expectsPromise(kind: HandlerKind): boolean {
  return kind === 'transport' || kind === 'promised' || kind === 'job';
}

/** Runs `work` now. For an async method the result or error becomes a promise. */
export function settle(isAsync: boolean, work: () => unknown): unknown {
  if (!isAsync) return work();
  return new Promise((resolve) => {
    resolve(work());
  });
}

/**
 * The result of a call that failed with `thrown` because its term ended. That is as intended, so only a caller that waits for the result
 * gets an error.
 */
export function interrupted(failure: Failure, thrown: unknown): unknown {
  const { kind } = failure;
  if (!isAwaited(kind)) return undefined;
  // Calling code gets what was thrown. A job was put back before, and the error says so.
  if (kind === 'plain' || kind === 'promised' || kind === 'job') throw thrown;
  return fail(failure);
}

function answer(refusal: Refusal): unknown {
  const { otherwise, kind } = refusal;
  if (typeof otherwise === 'function') {
    count(refusal, 'answered');
    return otherwise(refusal.call);
  }
  if (otherwise === 'skip') return skip(refusal);
  if (otherwise === undefined && kind === 'job') return leaveToLeader(refusal);
  if (otherwise === 'reject' || isAwaited(kind)) return reject(refusal);
  const waits = kind === 'saga' || kind === 'timeout';
  count(refusal, waits ? 'deferred' : 'skipped');
  if (kind === 'saga') return inEachTerm(refusal.leader, refusal.again);
  return kind === 'timeout' ? defer(refusal) : undefined;
}

function count({ leader }: Refusal, outcome: GatedCallOutcome): void {
  leader.measure?.({ type: 'call', outcome });
}

/** Whether the caller waits for the result. */
function isAwaited(kind: HandlerKind): boolean {
  switch (kind) {
    case 'schedule':
    case 'timeout':
    case 'event':
    case 'saga':
      return false;
    case 'http':
    case 'transport':
    case 'job':
    case 'promised':
    case 'plain':
      return true;
  }
}

function skip(refusal: Refusal): unknown {
  // A return would mean that the job is completed.
  if (refusal.kind === 'job') return leaveToLeader(refusal);
  count(refusal, 'skipped');
  // The only way in which a method can answer without a body on every platform.
  if (refusal.kind === 'http') throw new HttpException('', 204);
  return undefined;
}

function leaveToLeader(refusal: Refusal): unknown {
  const { leader, call } = refusal;
  const job = jobIn(call.args);
  if (job === undefined) return reject(refusal);
  count(refusal, 'skipped');
  return putBack(job, call.args, new NotLeaderError(leader.leaseName, call.leader));
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
  const waiting = deferred.get(instance) ?? whenLeading(refusal).finally(() => deferred.delete(instance));
  deferred.set(instance, waiting);
  return waiting;
}

/** Waits until this process leads or shuts down, because the method would not be called again. */
async function whenLeading({ leader, again }: Refusal): Promise<unknown> {
  try {
    await leader.whenLeader();
  } catch (error) {
    if (isLeaderError(error, 'LEADER_STOPPED')) return undefined;
    throw error;
  }
  return again();
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
