/** Which of Nest's contexts calls a handler: one method may be a route, answer a message, and be a cron job. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { tap, type Observable } from 'rxjs';
import { NotLeadingException } from './http-failure.js';

/** A call of a handler that Nest is about to make. */
interface NestCall {
  /** `http`, `rpc`, `ws`, `graphql`, or that of a package which is none of Nest's own. */
  readonly context: string;
  readonly owner: object;
  readonly method: string;
  /** The handler has begun. What it calls in its turn is called by code. */
  begun: boolean;
}

const calls = new AsyncLocalStorage<NestCall>();

/**
 * In which of Nest's contexts this method of that instance is being called; undefined when code, or a timer, calls it.
 *
 * @param begins whether the method is called next: behind an outer gate, one of another election may stand.
 */
export function contextOfCall(
  instance: unknown,
  method: string | symbol,
  begins: boolean,
): string | undefined {
  const call = calls.getStore();
  if (call === undefined || call.begun || call.method !== method) return undefined;
  if ((instance as object | undefined)?.constructor !== call.owner) return undefined;
  call.begun = begins;
  return call.context;
}

/**
 * Stands between Nest and a gated method, as its innermost interceptor: only an execution context knows who calls. Of a
 * route it also knows the response, so it says there when to come again; the exception goes on to the application's filters,
 * which answer.
 */
export class NestCallInterceptor implements NestInterceptor {
  constructor(readonly method: string) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const type = context.getType<string>();
    const call = { context: type, owner: context.getClass(), method: this.method, begun: false };
    // Nest binds what it calls next to the context in which it is told to go on.
    const result = calls.run(call, () => next.handle());
    if (type !== 'http') return result;
    return result.pipe(
      tap({
        error: (error: unknown) => {
          if (error instanceof NotLeadingException) setRetryAfter(context, error.retryAfter);
        },
      }),
    );
  }
}

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
