/** What a route answers while this process does not lead: 503, with the leader and with when to come again. */
import {
  ServiceUnavailableException,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { tap, type Observable } from 'rxjs';

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

/**
 * An exception cannot carry headers in Nest, and a method does not know its response; an interceptor knows both. The
 * exception goes on to the application's filters, which answer.
 */
class RetryAfterInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType() !== 'http') return next.handle();
    return next.handle().pipe(
      tap({
        error: (error: unknown) => {
          if (error instanceof NotLeadingException) setRetryAfter(context, error.retryAfter);
        },
      }),
    );
  }
}

/** One for all: it knows nothing of any application. */
export const retryAfterInterceptor: NestInterceptor = new RetryAfterInterceptor();

/** What Express' response and Fastify's reply have in common. */
interface Response {
  readonly headersSent?: boolean;
  readonly sent?: boolean;
  header(name: string, value: string): void;
}

function setRetryAfter(context: ExecutionContext, seconds: number): void {
  const response: Response = context.switchToHttp().getResponse();
  if (response.headersSent !== true && response.sent !== true)
    response.header('Retry-After', String(seconds));
}
