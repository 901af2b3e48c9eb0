/** What a route answers while this process does not lead: 503, with the leader and with when to come again. */
import { ServiceUnavailableException } from '@nestjs/common';

/** The 503. Filters of the application see it as any other. */
export class NotLeadingException extends ServiceUnavailableException {
  /** In whole seconds: this process cannot lead before. */
  readonly retryAfter: number;

  constructor(cause: Error, leader: string, leaderKeepsLeaseForMs: number) {
    const body = { statusCode: 503, error: 'Service Unavailable', message: cause.message, leader };
    super(body, { cause });
    this.retryAfter = Math.max(Math.ceil(leaderKeepsLeaseForMs / 1000), 1);
  }
}
