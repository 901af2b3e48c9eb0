/** What a route answers while this process does not lead: 503, with the leader and with when to come again. */
import { ServiceUnavailableException } from '@nestjs/common';

/** The 503. Filters of the application see it as any other. */
export class NotLeadingException extends ServiceUnavailableException {
  /** In whole seconds: this process cannot lead before. */
  readonly retryAfter: number;
  /** Nest answers with it even if this class comes from another copy of @nestjs/common. */
  readonly statusCode = 503;

  /** @param leader undefined: the answer must not name it. */
  constructor(cause: Error, leader: string | undefined, leaderKeepsLeaseForMs: number) {
    const body = { statusCode: 503, error: 'Service Unavailable', message: cause.message };
    super(leader === undefined ? body : { ...body, leader }, { cause });
    this.retryAfter = Math.max(Math.ceil(leaderKeepsLeaseForMs / 1000), 1);
  }
}
