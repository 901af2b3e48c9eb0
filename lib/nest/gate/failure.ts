/** How whoever waits for a result is told that there is none: each kind of handler in the way of its transport. */
import { IntrinsicException } from '@nestjs/common';
import type { NotLeaderError, TermOverError } from '../../election/index.js';
import type { LeaderService } from '../leader.service.js';
import type { HandlerKind } from './handler-kind.js';
import { NotLeadingException } from './http-failure.js';
import { keepsLeaseForMs, otherLeader } from './other-leader.js';

/** A call that was refused, or ended with its term. */
export interface Failure {
  readonly kind: HandlerKind;
  readonly error: NotLeaderError | TermOverError;
  readonly leader: LeaderService;
}

/** Throws, or returns a promise that is rejected. */
export function fail({ kind, error, leader }: Failure): unknown {
  switch (kind) {
    case 'http':
      throw new NotLeadingException(error, otherLeader(leader), keepsLeaseForMs(leader));
    case 'message':
      return rejectAs('@nestjs/microservices', 'RpcException', error, otherLeader(leader));
    case 'socket':
      return rejectAs('@nestjs/websockets', 'WsException', error, otherLeader(leader));
    case 'graphql':
      throw new ResolverFailure(error, otherLeader(leader));
    case 'schedule':
    case 'timeout':
    case 'event':
    case 'saga':
    case 'job':
    case 'plain':
      throw error;
  }
}

/** graphql-js copies the `extensions` of what a resolver throws. Intrinsic: Nest does not log it as a fault. */
class ResolverFailure extends IntrinsicException {
  override readonly name = 'ResolverFailure';
  readonly extensions: { readonly code: string; readonly leader: string };

  constructor(cause: NotLeaderError | TermOverError, leader: string) {
    super(cause.message, { cause });
    this.extensions = { code: codeFor(cause), leader };
  }
}

type TransportException = new (error: object) => Error;

/**
 * These packages tell a client only of exceptions of their own classes, so the application's are needed; they are there,
 * for they called the handler. Should one not be found all the same, the error itself says at least why in the log.
 */
async function rejectAs(
  packageName: string,
  className: string,
  error: NotLeaderError | TermOverError,
  leader: string,
): Promise<never> {
  const loaded = (await import(packageName).catch(() => ({}))) as Record<
    string,
    TransportException | undefined
  >;
  const Exception = loaded[className];
  if (Exception === undefined) throw error;
  throw Object.assign(new Exception({ code: codeFor(error), message: error.message, leader }), {
    cause: error,
  });
}

/** `NOT_LEADER` or `TERM_OVER`: on the wire it is the application that speaks, not this package. */
function codeFor({ code }: NotLeaderError | TermOverError): string {
  return code.replace('LEADER_', '');
}
