/** Which methods of a class are its handlers: what `@OnlyWhenLeader()` gates when it stands on the class. */
import 'reflect-metadata';
import { WORKER_EVENTS, isWorkerHost } from '../bullmq/job-processor.js';
import { hooksOn } from '../hooks/leadership-hooks.js';
import { isGated } from './gate.js';
import { isSaga } from './handler-kind.js';

type MethodOfClass = readonly [key: string | symbol, descriptor: PropertyDescriptor];

/**
 * What @nestjs/cqrs calls. Its decorators stand on the class, perhaps above ours, and leave nothing on the method; so the
 * name alone decides.
 */
const CQRS_HANDLERS: ReadonlySet<string | symbol> = new Set(['execute', 'handle']);

/** A process that follows starts, is connected to, and ends like any other. */
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
 * Methods that carry metadata, inherited ones included, and those that CQRS and BullMQ's workers call by name. Not those that are gated already, and
 * never what Nest or the election calls at a moment of its own; plain helpers carry nothing.
 */
export function handlersOf(prototype: object): MethodOfClass[] {
  return methodsOf(prototype).filter(([key, descriptor]) => {
    const value: unknown = descriptor.value;
    if (LIFECYCLE.has(key) || typeof value !== 'function' || isGated(value)) return false;
    if (typeof key === 'string' && hooksOn(prototype, key).length > 0) return false;
    // It hears of jobs that end after their term, too.
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
