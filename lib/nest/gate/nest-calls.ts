import { AsyncLocalStorage } from 'node:async_hooks';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { tap, type Observable } from 'rxjs';
import { NotLeadingException } from './failure.js';

/** A call of a handler that Nest is about to make. */
interface NestCall {
  /** `http`, `rpc`, `ws`, `graphql`, or the type of another package's context. */
  readonly context: string;
  readonly owner: object;
  readonly method: string;
  /** Whether the handler has begun. Methods that it calls are called by code, not by Nest. */
  begun: boolean;
}

const calls = new AsyncLocalStorage<NestCall>();

/**
 * The call by which Nest calls this method of an instance; undefined if code or a timer calls it. One method may be a route, a handler
 * of messages and a cron job.
 *
 * @param begins whether the method itself is called next, not the gate of another election.
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
 * The innermost interceptor of a gated method. It notes who calls, which only an execution context knows. For a route it also sets
 * Retry-After in the response; the application's filters answer the exception.
 */
export class NestCallInterceptor implements NestInterceptor {
  constructor(readonly method: string) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const type = context.getType<string>();
    const call = { context: type, owner: context.getClass(), method: this.method, begun: false };
    // Nest calls the handler in the async context in which `handle()` is subscribed to.
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

/** The common members of Express' response and Fastify's reply. */
interface Response {
  readonly headersSent?: boolean;
  readonly sent?: boolean;
  header(name: string, value: string): void;
}

/** Sets the header, unless the answer has begun. */
export function setRetryAfter(context: ExecutionContext, seconds: number): void {
  const response: Response = context.switchToHttp().getResponse();
  if (response.headersSent !== true && response.sent !== true)
    response.header('Retry-After', String(seconds));
}
