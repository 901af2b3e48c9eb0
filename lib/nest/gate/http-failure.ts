/** What a route answers while this process does not lead: 503, with the leader and with when to come again. */
import { ServiceUnavailableException } from '@nestjs/common';

/** The 503. Filters of the application see it as any other. */
export class NotLeadingException extends ServiceUnavailableException {
  /** In whole seconds: this process cannot lead before. */
  readonly retryAfter: number;
  /** By which Nest knows an error that is of another copy of its packages. */
  readonly statusCode = 503;

  /** @param leader undefined if the client may not know. */
  constructor(cause: Error, leader: string | undefined, leaderKeepsLeaseForMs: number) {
    const body = { statusCode: 503, error: 'Service Unavailable', message: cause.message };
    super(leader === undefined ? body : { ...body, leader }, { cause });
    this.retryAfter = Math.max(Math.ceil(leaderKeepsLeaseForMs / 1000), 1);
  }
}
