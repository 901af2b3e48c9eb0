import { LeaseRequestError, type LeaderErrorCode } from '../../election/internal.js';
import type { Chance } from '../chance.js';
import type { RequestFaults } from '../simulated-faults.js';
import type { SimulatedRequest } from '../simulated-lease.js';
import type { requestFaultKinds } from './fault-kinds.js';

/** A fault of a single request. */
export type RequestFaultKind = (typeof requestFaultKinds)[number];

/** The usual and the longest Retry-After of the simulated server. */
const USUAL_RETRY_AFTER_MS = 4_000;
const LONGEST_RETRY_AFTER_MS = 60_000;

/** What `kind` does to this request; undefined if it does not apply to this request. */
export function faultsOf(
  kind: RequestFaultKind,
  request: SimulatedRequest,
  chance: Chance,
  longestDelayMs: number,
): RequestFaults | undefined {
  switch (kind) {
    case 'requestLost':
      return { lost: 'request' };
    case 'replyLost':
      return { lost: 'reply' };
    case 'requestHangs':
      return { lost: chance.oneOf(['request', 'reply']) };
    case 'requestDelayed':
      return { delayMs: chance.skewed(longestDelayMs) };
    case 'replyDelayed':
      return { replyDelayMs: chance.skewed(longestDelayMs) };
    case 'requestReordered':
      return { delayMs: chance.between(2, 60) };
    case 'requestDuplicated':
      return { copyAfterMs: chance.skewed(longestDelayMs), copyAnswered: chance.happens(0.3) };
    case 'falseConflict':
      return request.verb === 'get' ? undefined : { conflict: true, carriedOut: chance.happens(0.5) };
    case 'throttled429':
      return answered('LEADER_THROTTLED', {
        carriedOut: false,
        retryAfterMs: someRetryAfterMs(chance),
      });
    case 'serverError500':
      return answered('LEADER_SERVER_ERROR', { carriedOut: chance.happens(0.3) });
    case 'unavailable503':
      return answered('LEADER_SERVER_ERROR', {
        carriedOut: false,
        retryAfterMs: chance.happens(0.5) ? someRetryAfterMs(chance) : undefined,
      });
    case 'gatewayTimeout504':
      return answered('LEADER_SERVER_ERROR', { carriedOut: chance.happens(0.5) });
  }
}

function someRetryAfterMs(chance: Chance): number {
  return chance.between(0, chance.happens(0.2) ? LONGEST_RETRY_AFTER_MS : USUAL_RETRY_AFTER_MS);
}

/** A temporary failure, which may happen to any request. */
export function passingFailure(chance: Chance): RequestFaults {
  const code = chance.oneOf(['LEADER_SERVER_ERROR', 'LEADER_UNREACHABLE', 'LEADER_THROTTLED'] as const);
  return answered(code, { carriedOut: code !== 'LEADER_THROTTLED' && chance.happens(0.3) });
}

/** An answer with an error. Every error except 429 says that the request may have been carried out. */
function answered(
  code: LeaderErrorCode,
  answer: { carriedOut: boolean; retryAfterMs?: number | undefined },
): RequestFaults {
  const error = new LeaseRequestError(code, 'Simulated failure.', {
    maybeCommitted: code !== 'LEADER_THROTTLED',
    ...(answer.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs }),
  });
  return { error, carriedOut: answer.carriedOut };
}
