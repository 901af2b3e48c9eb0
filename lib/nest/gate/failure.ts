import { IntrinsicException } from '@nestjs/common';
import { isLeaderError, type NotLeaderError, type TermOverError } from '../../election/index.js';
import type { LeaderService } from '../leader.service.js';
import type { HandlerKind } from './handler-kind.js';
import { NotLeadingException } from './http-failure.js';
import { keepsLeaseForMs, leaderToTell } from './other-leader.js';

/** A call that was refused, or that ended with its term. */
export interface Failure {
  readonly kind: HandlerKind;
  readonly error: NotLeaderError | TermOverError;
  readonly leader: LeaderService;
}

/** The data for a client; without `leader` if `exposeLeader` is false. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly leader?: string;
}

/** Throws the error for a caller that waits for a result, in the form of its transport. */
export function fail({ kind, error, leader }: Failure): never {
  switch (kind) {
    case 'http':
      throw new NotLeadingException(error, leaderToTell(leader), keepsLeaseForMs(leader));
    case 'transport':
      throw new TransportFailure(error, leaderToTell(leader));
    case 'schedule':
    case 'timeout':
    case 'event':
    case 'saga':
    case 'job':
    case 'promised':
    case 'plain':
      throw error;
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
  readonly extensions: Omit<Refusal, 'message'>;

  constructor(cause: NotLeaderError | TermOverError, leader: string | undefined) {
    super(cause.message, { cause });
    this.extensions = { code: cause.extensions.code, ...(leader !== undefined && { leader }) };
  }

  get [brand](): true {
    return true;
  }
}

/** The data for a client in an error about who leads; undefined for other errors. */
export function refusalIn(error: unknown): Refusal | undefined {
  if (!isRefusal(error)) return undefined;
  const { code, leader } = error.extensions;
  return { code, message: error.message, ...(leader !== undefined && { leader }) };
}

function isRefusal(error: unknown): error is Error & Pick<TransportFailure, 'extensions'> {
  if (isLeaderError(error, 'LEADER_NOT_LEADER') || isLeaderError(error, 'LEADER_TERM_OVER')) return true;
  return typeof error === 'object' && error !== null && brand in error;
}
