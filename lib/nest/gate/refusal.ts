/** What a gated method does while this process does not lead. */
import { HttpException } from '@nestjs/common';
import { NotLeaderError, isLeaderError } from '../../election/index.js';
import { fail, type Failure } from './failure.js';
import type { HandlerKind } from './handler-kind.js';
import type { LeaderService } from '../leader.service.js';
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
  /** Makes the call anew. */
  readonly again: () => unknown;
}

/** Does with the call what its kind, or `otherwise`, asks for. */
export function refuse(refusal: Refusal): unknown {
  return settle(refusal.isAsync, () => answer(refusal));
}

/** Runs `work` now; a method that promises its result neither throws nor returns a bare value. */
export function settle(isAsync: boolean, work: () => unknown): unknown {
  if (!isAsync) return work();
  return new Promise((resolve) => {
    resolve(work());
  });
}

/**
 * What comes of a call that failed with the very error that ended its term: it did as it was told, and nobody need hear
 * of it but whoever waits for its result.
 */
export function interrupted(failure: Failure): unknown {
  return isAwaited(failure.kind) ? fail(failure) : undefined;
}

function answer(refusal: Refusal): unknown {
  const { otherwise, kind } = refusal;
  if (typeof otherwise === 'function') return otherwise(refusal.call);
  if (otherwise === 'skip') return skip(refusal);
  if (otherwise === 'reject' || isAwaited(kind)) return reject(refusal);
  if (kind === 'saga') return inEachTerm(refusal.leader, refusal.again);
  return kind === 'timeout' ? defer(refusal) : undefined;
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
    case 'message':
    case 'socket':
    case 'graphql':
    case 'plain':
      return true;
  }
}

function skip({ kind }: Refusal): unknown {
  // The one way for a method to answer without a body whatever the platform.
  if (kind === 'http') throw new HttpException('', 204);
  return undefined;
}

function reject({ kind, leader, call }: Refusal): unknown {
  return fail({ kind, error: new NotLeaderError(leader.leaseName, call.leader), leader });
}

/** It would not be called a second time, so it waits until this process leads, or shuts down. */
async function defer({ leader, again }: Refusal): Promise<unknown> {
  try {
    await leader.whenLeader();
  } catch (error) {
    if (isLeaderError(error, 'LEADER_STOPPED')) return undefined;
    throw error;
  }
  return again();
}
