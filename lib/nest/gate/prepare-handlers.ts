import 'reflect-metadata';
import { MetadataScanner, type ModulesContainer } from '@nestjs/core';
import { isJobOrListener, isMessageHandler } from './handler-kind.js';
import { NestCallInterceptor } from './nest-calls.js';
import { RefusalFilter } from './refusal-filter.js';

/** The metadata keys of `@UseInterceptors()` and `@UseFilters()`. */
const INTERCEPTORS = '__interceptors__';
const FILTERS = '__exceptionFilters__';
/** By prototype and name, because a decorator above the gate may replace the function. */
const GATED = Symbol.for('nestjs-leader: a gate stands before this method');

const refusalFilter = new RefusalFilter();

/** Registers a gate of a method, outside the gates that it has. */
export function markGated(prototype: object, key: string | symbol, gate: object): void {
  Reflect.defineMetadata(GATED, gate, prototype, key);
}

/** The outermost gate of a method that the class itself declares. */
export function gateOf(prototype: object, key: string | symbol): object | undefined {
  return Reflect.getOwnMetadata(GATED, prototype, key) as object | undefined;
}

/**
 * Adds this package's interceptor and filter to the handlers of all classes. To be called when all classes are known and before any
 * lifecycle method, because Nest reads the metadata of handlers when it creates their contexts.
 */
export function prepareHandlers(modules: ModulesContainer): void {
  const scanner = new MetadataScanner();
  for (const { controllers, providers } of modules.values()) {
    for (const { metatype } of [...controllers.values(), ...providers.values()]) {
      if (typeof metatype !== 'function') continue;
      const prototype = metatype.prototype as Record<string, object> | undefined;
      if (typeof prototype !== 'object') continue;
      for (const name of scanner.getAllMethodNames(prototype)) prepare(prototype, name);
    }
  }
}

function prepare(prototype: Record<string, object>, name: string): void {
  const handler = prototype[name];
  if (typeof handler !== 'function') return;
  // Also without a gate, because the handler may call a gated method.
  if (isMessageHandler(handler) && !has(handler, FILTERS, RefusalFilter)) {
    // First in the list: Nest tries the last filter first, so the method's own filters come before this one.
    Reflect.defineMetadata(FILTERS, [refusalFilter, ...listed(handler, FILTERS)], handler);
  }
  if (!Reflect.hasMetadata(GATED, prototype, name)) return;
  // In Nest 11.0 server-sent events with an interceptor answer 200 before the route is called.
  if (Reflect.hasOwnMetadata('__sse__', handler) && !isJobOrListener(handler)) return;
  if (has(handler, INTERCEPTORS, NestCallInterceptor)) return;
  const interceptors = [...listed(handler, INTERCEPTORS), new NestCallInterceptor(name)];
  Reflect.defineMetadata(INTERCEPTORS, interceptors, handler);
}

function listed(handler: object, key: string): readonly unknown[] {
  return (Reflect.getOwnMetadata(key, handler) ?? []) as readonly unknown[];
}

function has(handler: object, key: string, kind: typeof NestCallInterceptor | typeof RefusalFilter): boolean {
  return listed(handler, key).some((each) => each instanceof kind);
}
