/** Routes that are refused say when to come again. */
import 'reflect-metadata';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { MetadataScanner, type ModulesContainer } from '@nestjs/core';
import { tap, type Observable } from 'rxjs';
import { isGated, type Method } from './gate.js';
import { kindOfHandler } from './handler-kind.js';
import { NotLeadingException } from './http-failure.js';

/** Where `@UseInterceptors()` puts them. */
const INTERCEPTORS = '__interceptors__';

/**
 * An exception cannot carry headers in Nest, and a method does not know its response; an interceptor knows both. The
 * exception goes on to the application's filters, which answer.
 */
class RetryAfterInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
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
const retryAfter: NestInterceptor = new RetryAfterInterceptor();

/**
 * Has every gated route say when to come again. To be called when all classes are known and before the routes are made,
 * which is before any lifecycle method.
 */
export function addRetryAfter(modules: ModulesContainer): void {
  const scanner = new MetadataScanner();
  for (const { controllers } of modules.values()) {
    for (const { metatype } of controllers.values()) {
      if (typeof metatype !== 'function') continue;
      const prototype = metatype.prototype as Record<string, object>;
      for (const name of scanner.getAllMethodNames(prototype)) addTo(prototype[name] as Method);
    }
  }
}

function addTo(route: Method): void {
  // In Nest 11.0 server-sent events with an interceptor answer 200 before the route is asked.
  if (
    !isGated(route) ||
    kindOfHandler(route, undefined) !== 'http' ||
    Reflect.hasOwnMetadata('__sse__', route)
  )
    return;
  const present = (Reflect.getOwnMetadata(INTERCEPTORS, route) ?? []) as readonly unknown[];
  if (!present.includes(retryAfter)) Reflect.defineMetadata(INTERCEPTORS, [...present, retryAfter], route);
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
