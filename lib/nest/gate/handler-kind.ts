/** What calls a method, read from the metadata that Nest's packages leave on the function, or on its class. */
import 'reflect-metadata';
import { PROCESSES_JOBS, QUEUE_EVENTS, WORKER_EVENTS } from '../bullmq/job-processor.js';

/**
 * - `http`: a route
 * - `message`: answers a message of a microservice
 * - `socket`: answers a message of a WebSocket
 * - `graphql`: resolves a query, a mutation, a subscription or a field
 * - `schedule`: a cron or interval job, called again and again
 * - `timeout`: a job that is called once
 * - `event`: a listener that nobody waits for
 * - `job`: `process` of a worker, whose result says that the job is done
 * - `saga`: called once, at start; what it returns is listened to for good
 * - `plain`: anything else; whoever calls it wants its result
 */
export type HandlerKind =
  'http' | 'message' | 'socket' | 'graphql' | 'schedule' | 'timeout' | 'event' | 'job' | 'saga' | 'plain';

/** The keys of Nest's packages, each with the kind of handler that has it. The first that is found counts. */
const keys: readonly (readonly [key: string | symbol, kind: HandlerKind])[] = [
  ['SCHEDULE_TIMEOUT_OPTIONS', 'timeout'],
  ['SCHEDULE_CRON_OPTIONS', 'schedule'],
  ['SCHEDULE_INTERVAL_OPTIONS', 'schedule'],
  [PROCESSES_JOBS, 'job'],
  ['EVENT_LISTENER_METADATA', 'event'],
  [WORKER_EVENTS, 'event'],
  [QUEUE_EVENTS, 'event'],
  ['websockets:message_mapping', 'socket'],
  ['graphql:resolver_type', 'graphql'],
  ['graphql:resolve_property', 'graphql'],
  ['graphql:resolve_reference', 'graphql'],
];

const EVENT_PATTERN = 2;

/**
 * Of which kind a function is on that instance. To be asked when it is called: decorators further up, and on the class,
 * add theirs later.
 *
 * @param outermost What stands in the method's place on its class: a decorator in between may have wrapped the function,
 * and taken none of its metadata along.
 */
export function kindOfHandler(
  handler: { readonly name: string },
  instance: unknown,
  outermost: unknown = handler,
): HandlerKind {
  const kind = kindByMetadata(handler) ?? kindByMetadata(outermost);
  if (kind !== undefined) return kind;
  const owner = classOf(instance);
  if (owner === undefined) return 'plain';
  if (handler.name === 'handle' && Reflect.hasMetadata('__eventsHandler__', owner)) return 'event';
  return isSaga(owner, handler.name) ? 'saga' : 'plain';
}

function kindByMetadata(handler: unknown): HandlerKind | undefined {
  if (typeof handler !== 'function') return undefined;
  const found = keys.find(([key]) => Reflect.hasOwnMetadata(key, handler));
  if (found !== undefined) return found[1];
  const pattern: unknown = Reflect.getOwnMetadata('microservices:handler_type', handler);
  if (pattern !== undefined) return pattern === EVENT_PATTERN ? 'event' : 'message';
  const isRoute = Reflect.hasOwnMetadata('path', handler) && Reflect.hasOwnMetadata('method', handler);
  return isRoute ? 'http' : undefined;
}

/** @nestjs/cqrs keeps the names of a class's sagas on the class. */
export function isSaga(owner: object, key: string | symbol): boolean {
  const sagas = Reflect.getMetadata('__saga__', owner) as readonly unknown[] | undefined;
  return sagas?.includes(key) === true;
}

function classOf(instance: unknown): object | undefined {
  return typeof instance === 'object' && instance !== null ? instance.constructor : undefined;
}
