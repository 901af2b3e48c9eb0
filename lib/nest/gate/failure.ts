import { IntrinsicException, ServiceUnavailableException } from '@nestjs/common';
import { isLeaderError, readable, type NotLeaderError, type TermOverError } from '../../election/internal.js';
import type { LeaderHandle } from '../leader-handle.js';
import type { KindOfHandler } from './handler-kind.js';

/** A call that was refused, or that ended with its term. */
export interface Failure {
  readonly kind: KindOfHandler;
  readonly error: NotLeaderError | TermOverError;
  readonly leader: LeaderHandle;
}

/** The data for a client; without `leader` if `exposeLeader` is false. */
export interface RefusalData {
  readonly code: string;
  readonly message: string;
  readonly leader?: string;
}

/** Throws the error for a caller that waits for a result, in the form of its transport. */
export function fail({ kind, error, leader }: Failure): never {
  switch (kind.error) {
    case 'route':
      throw new NotLeadingException(error, leaderToTell(leader), keepsLeaseForMs(leader));
    case 'transport':
      throw new TransportFailure(error, leaderToTell(leader));
    case 'own':
      throw error;
  }
}

/** The identity of another leader, as last seen, in readable form; `''` if this process has just lost its lease or is handing over. */
export function otherLeader({ leader, identity }: LeaderHandle): string {
  return leader === identity ? '' : readable(leader);
}

/** The leader to name to a client; undefined with `exposeLeader: false`. */
export function leaderToTell(leader: LeaderHandle): string | undefined {
  return leader.exposesLeader ? otherLeader(leader) : undefined;
}

/** For how many milliseconds the known leader keeps the lease even if it has died; 0 if the lease may be free. */
function keepsLeaseForMs({ state, clock }: LeaderHandle): number {
  if (state.kind !== 'following' || state.expiresAt === undefined) return 0;
  return Math.max(state.expiresAt - clock.now(), 0);
}

/** The answer of a route while this process does not lead: 503 with the leader and Retry-After. The application's filters see it. */
export class NotLeadingException extends ServiceUnavailableException {
  /** In whole seconds; this process cannot lead before. */
  readonly retryAfter: number;
  /** Nest reads this property even if the class is from another copy of @nestjs/common. */
  readonly statusCode = 503;

  /** @param leader undefined if the answer must not contain it. */
  constructor(cause: Error, leader: string | undefined, leaderKeepsLeaseForMs: number) {
    const body = { statusCode: 503, error: 'Service Unavailable', message: cause.message };
    super(leader === undefined ? body : { ...body, leader }, { cause });
    this.retryAfter = Math.max(Math.ceil(leaderKeepsLeaseForMs / 1000), 1);
  }
}

/** A symbol of the whole process. `instanceof` fails between two copies of a package; this works. */
const brand = Symbol.for('nestjs-leader.transport-failure');

/**
 * graphql-js copies the `extensions` of an error that a resolver throws; for messages and sockets the RefusalFilter sends them.
 * It is an IntrinsicException, which Nest does not log.
 */
class TransportFailure extends IntrinsicException {
  override readonly name = 'TransportFailure';
  readonly extensions: Omit<RefusalData, 'message'>;

  constructor(cause: NotLeaderError | TermOverError, leader: string | undefined) {
    super(cause.message, { cause });
    this.extensions = { code: cause.extensions.code, ...(leader !== undefined && { leader }) };
  }

  get [brand](): true {
    return true;
  }
}

/** Ends the call of a handler of events that a guard skips. Nest does not log it, and the SkippedEventFilter answers nothing. */
export class SkippedEvent extends IntrinsicException {
  override readonly name = 'SkippedEvent';

  constructor(cause: NotLeaderError) {
    super(cause.message, { cause });
  }
}

/** The data for a client in an error about who leads; undefined for other errors. */
export function refusalIn(error: unknown): RefusalData | undefined {
  if (!isRefusal(error)) return undefined;
  const { code, leader } = error.extensions;
  return { code, message: error.message, ...(leader !== undefined && { leader }) };
}

function isRefusal(error: unknown): error is Error & Pick<TransportFailure, 'extensions'> {
  if (isLeaderError(error, 'LEADER_NOT_LEADER') || isLeaderError(error, 'LEADER_TERM_OVER')) return true;
  return typeof error === 'object' && error !== null && brand in error;
}
