import 'reflect-metadata';
import { UseInterceptors } from '@nestjs/common';
import {
  EXCEPTION_FILTERS_METADATA,
  INTERCEPTORS_METADATA,
  OPTIONAL_DEPS_METADATA,
  OPTIONAL_PROPERTY_DEPS_METADATA,
  PARAMTYPES_METADATA,
  PROPERTY_DEPS_METADATA,
  SELF_DECLARED_DEPS_METADATA,
  SSE_METADATA,
} from '@nestjs/common/constants.js';
import type { Reflector } from '@nestjs/core';
import { GATE } from './gate/gate-key.js';
import { hasCallerWithoutContext, isEventHandler, isMessageHandler } from './gate/handler-kind.js';
import { NestCallInterceptor } from './gate/nest-calls.js';
import { RefusalFilter, SkippedEventFilter } from './gate/refusal-filter.js';

/** A dependency that Nest injects into a property of each instance of a class. */
interface PropertyDependency {
  readonly key: string | symbol;
  /** The token. */
  readonly type: unknown;
}

/** A parameter of a constructor under `@Inject()`. */
interface DeclaredDependency {
  readonly index: number;
  /** The token. */
  readonly param: unknown;
}

const refusalFilter = new RefusalFilter();
const skippedEventFilter = new SkippedEventFilter();

/** Reads and writes the metadata by which Nest injects dependencies and calls handlers. */
export class MetadataAccessor {
  constructor(private readonly reflector: Reflector) {}

  /** The properties of a class that Nest injects, also inherited ones. */
  propertiesOf(type: object): readonly PropertyDependency[] {
    return this.#list(PROPERTY_DEPS_METADATA, type) as readonly PropertyDependency[];
  }

  /** The tokens that Nest must have to create an instance of a class. */
  tokensNeededBy(type: object): unknown[] {
    const params = [...this.#list(PARAMTYPES_METADATA, type)];
    const declared = this.#list(SELF_DECLARED_DEPS_METADATA, type) as readonly DeclaredDependency[];
    for (const { index, param } of declared) params[index] = param;
    for (const index of this.#list(OPTIONAL_DEPS_METADATA, type)) params[index as number] = undefined;
    const optional = this.#list(OPTIONAL_PROPERTY_DEPS_METADATA, type);
    const properties = this.propertiesOf(type).filter(({ key }) => !optional.includes(key));
    return [...params, ...properties.map(({ type: token }) => token)];
  }

  /**
   * Adds the interceptor and the filter that a handler needs. To be called before any lifecycle method, because Nest reads this
   * metadata when it creates the contexts of handlers.
   */
  prepareHandler(prototype: object, name: string, handler: object): void {
    // Also without a gate, because the handler may call a gated method.
    if (isMessageHandler(handler)) this.#addFilter(handler, refusalFilter);
    // A guard may skip an event.
    if (isEventHandler(handler)) this.#addFilter(handler, skippedEventFilter);
    if (!Reflect.hasMetadata(GATE, prototype, name)) return;
    // In Nest 11.0 server-sent events with an interceptor answer 200 before the route is called. They need none unless the method
    // has another caller, too.
    const isSse = Reflect.hasOwnMetadata(SSE_METADATA, handler);
    if (isSse && !hasCallerWithoutContext(prototype.constructor, name, handler)) return;
    if (this.#list(INTERCEPTORS_METADATA, handler).some((each) => each instanceof NestCallInterceptor))
      return;
    UseInterceptors(new NestCallInterceptor(name))(prototype, name, { value: handler });
  }

  /** Not by UseFilters(), which appends: Nest tries the last filter first, and the method's own filters come before this one. */
  #addFilter(handler: object, filter: RefusalFilter | SkippedEventFilter): void {
    const filters = this.#list(EXCEPTION_FILTERS_METADATA, handler);
    if (!filters.includes(filter))
      Reflect.defineMetadata(EXCEPTION_FILTERS_METADATA, [filter, ...filters], handler);
  }

  #list(key: string, target: object): readonly unknown[] {
    return this.reflector.get<unknown[] | undefined, string>(key, target as never) ?? [];
  }
}
