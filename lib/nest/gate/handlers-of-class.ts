import 'reflect-metadata';
import { WORKER_EVENTS, isWorkerHost } from '../bullmq/job-processor.js';
import { hooksOn } from '../hooks/leadership-hooks.js';
import { isGated } from './gate.js';
import { isSaga } from './handler-kind.js';

type MethodOfClass = readonly [key: string | symbol, descriptor: PropertyDescriptor];

/**
 * The methods that @nestjs/cqrs calls. Its decorators are on the class, perhaps above ours, and leave no metadata on the method, so the
 * name decides.
 */
const CQRS_HANDLERS: ReadonlySet<string | symbol> = new Set(['execute', 'handle']);

/** The lifecycle methods, which also run while the process follows. */
const LIFECYCLE: ReadonlySet<string | symbol> = new Set([
  'constructor',
  'onModuleInit',
  'onApplicationBootstrap',
  'onModuleDestroy',
  'beforeApplicationShutdown',
  'onApplicationShutdown',
  'afterInit',
  'handleConnection',
  'handleDisconnect',
]);

/**
 * The handlers of a class, which `@OnlyWhenLeader()` on the class gates: methods with metadata, also inherited ones, and those that
 * CQRS and BullMQ's workers call by name. Not methods that have a gate, lifecycle methods and leadership hooks. Plain helpers have
 * no metadata.
 */
export function handlersOf(prototype: object): MethodOfClass[] {
  return methodsOf(prototype).filter(([key, descriptor]) => {
    const value: unknown = descriptor.value;
    if (LIFECYCLE.has(key) || typeof value !== 'function' || isGated(value)) return false;
    if (typeof key === 'string' && hooksOn(prototype, key).length > 0) return false;
    // It is also called for jobs that end after their term.
    if (Reflect.hasOwnMetadata(WORKER_EVENTS, value)) return false;
    if (key === 'process' && isWorkerHost(prototype)) return true;
    if (CQRS_HANDLERS.has(key) || isSaga(prototype.constructor, key)) return true;
    return Reflect.getOwnMetadataKeys(value).length > 0;
  });
}

/** The nearest method of each name, up the chain of classes. */
function methodsOf(prototype: object): MethodOfClass[] {
  const methods = new Map<string | symbol, PropertyDescriptor>();
  for (
    let owner: object | null = prototype;
    isOfUser(owner);
    owner = Object.getPrototypeOf(owner) as object | null
  ) {
    for (const key of Reflect.ownKeys(owner)) {
      const descriptor = Object.getOwnPropertyDescriptor(owner, key);
      if (descriptor !== undefined && !methods.has(key)) methods.set(key, descriptor);
    }
  }
  return [...methods];
}

function isOfUser(owner: object | null): owner is object {
  return owner !== null && owner !== Object.prototype;
}
