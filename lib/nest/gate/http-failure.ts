import { ServiceUnavailableException } from '@nestjs/common';

/** The answer of a route while this process does not lead: 503 with the leader and Retry-After. The application's filters see it. */
export class NotLeadingException extends ServiceUnavailableException {
  /** In whole seconds; this process cannot lead before. */
  readonly retryAfter: number;
  /** Nest uses this method even if the class is from another copy of @nestjs/common. */
  readonly statusCode = 503;

  /** @param leader undefined if the answer must not contain it. */
  constructor(cause: Error, leader: string | undefined, leaderKeepsLeaseForMs: number) {
    const body = { statusCode: 503, error: 'Service Unavailable', message: cause.message };
    super(leader === undefined ? body : { ...body, leader }, { cause });
    this.retryAfter = Math.max(Math.ceil(leaderKeepsLeaseForMs / 1000), 1);
  }
}
