/** What a gated method does while this process does not lead. */
import { HttpException } from '@nestjs/common';
import { NotLeaderError, isLeaderError, type GatedCallOutcome } from '../../election/index.js';
import { jobIn, putBack } from '../bullmq/put-back.js';
import { fail, type Failure } from './failure.js';
import type { HandlerKind } from './handler-kind.js';
import type { LeaderService } from '../leader.service.js';
import { leaderToTell } from './other-leader.js';
import { inEachTerm } from './saga.js';

/** What `otherwise` is told. */
export interface RefusedCall {
  /** Who leads, `''` when nobody is known to. */
  readonly leader: string;
  /** This process. */
  readonly identity: string;
  readonly election: string;
  /** The method's name. */
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
  readonly leader: LeaderService;
  /** The method promises its result, so it must not throw. */
  readonly isAsync: boolean;
  readonly call: RefusedCall;
  /** The calls of this method that wait until this process leads, by instance. */
  readonly deferred: WeakMap<object, Promise<unknown>>;
  /** Makes the call anew. */
  readonly again: () => unknown;
}

/** Does with the call what its kind, or `otherwise`, asks for. */
export function refuse(refusal: Refusal): unknown {
  return settle(refusal.isAsync || expectsPromise(refusal.kind), () => answer(refusal));
}

/** Whether callers of that kind expect a promise of every method. */
function expectsPromise(kind: HandlerKind): boolean {
  return kind === 'transport' || kind === 'promised' || kind === 'job';
}

/** Runs `work` now; a method that promises its result neither throws nor returns a bare value. */
export function settle(isAsync: boolean, work: () => unknown): unknown {
  if (!isAsync) return work();
  return new Promise((resolve) => {
    resolve(work());
  });
}

/**
 * What comes of a call that failed, with `thrown`, because its term ended: it did as it was told, and nobody need hear of
 * it but whoever waits for its result.
 */
export function interrupted(failure: Failure, thrown: unknown): unknown {
  const { kind } = failure;
  if (!isAwaited(kind)) return undefined;
  // What is called by code gets what was thrown; a job has been put back before, and what is thrown says so.
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

/** Whether somebody waits for what comes of the call. */
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
  // To return would be to say that the job is done.
  if (refusal.kind === 'job') return leaveToLeader(refusal);
  count(refusal, 'skipped');
  // The one way for a method to answer without a body whatever the platform.
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

/** It is called once, so one call waits, however often it comes. */
function defer(refusal: Refusal): Promise<unknown> {
  const { deferred, call } = refusal;
  const instance = call.instance as object;
  const waiting = deferred.get(instance) ?? whenLeading(refusal).finally(() => deferred.delete(instance));
  deferred.set(instance, waiting);
  return waiting;
}

/** It would not be called a second time, so it waits until this process leads, or shuts down. */
async function whenLeading({ leader, again }: Refusal): Promise<unknown> {
  try {
    await leader.whenLeader();
  } catch (error) {
    if (isLeaderError(error, 'LEADER_STOPPED')) return undefined;
    throw error;
  }
  return again();
}
