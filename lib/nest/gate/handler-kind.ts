/** What calls a method, read from the metadata that Nest's packages leave on the function, or on its class. */
import 'reflect-metadata';

/**
 * - `http`: a route
 * - `message`: answers a message of a microservice
 * - `socket`: answers a message of a WebSocket
 * - `graphql`: resolves a query, a mutation, a subscription or a field
 * - `schedule`: a cron or interval job, called again and again
 * - `timeout`: a job that is called once
 * - `event`: a listener that nobody waits for
 * - `plain`: anything else; whoever calls it wants its result
 */
export type HandlerKind =
  'http' | 'message' | 'socket' | 'graphql' | 'schedule' | 'timeout' | 'event' | 'plain';

/** The keys of Nest's packages, each with the kind of handler that has it. The first that is found counts. */
const keys: readonly (readonly [key: string, kind: HandlerKind])[] = [
  ['SCHEDULE_TIMEOUT_OPTIONS', 'timeout'],
  ['SCHEDULE_CRON_OPTIONS', 'schedule'],
  ['SCHEDULE_INTERVAL_OPTIONS', 'schedule'],
  ['EVENT_LISTENER_METADATA', 'event'],
  ['websockets:message_mapping', 'socket'],
  ['graphql:resolver_type', 'graphql'],
  ['graphql:resolve_property', 'graphql'],
  ['graphql:resolve_reference', 'graphql'],
];

const EVENT_PATTERN = 2;

/**
 * Of which kind a function is on that instance. To be asked when it is called: decorators further up, and on the class,
 * add theirs later.
 */
export function kindOfHandler(handler: { readonly name: string }, instance: unknown): HandlerKind {
  const found = keys.find(([key]) => Reflect.hasOwnMetadata(key, handler));
  if (found !== undefined) return found[1];
  const pattern: unknown = Reflect.getOwnMetadata('microservices:handler_type', handler);
  if (pattern !== undefined) return pattern === EVENT_PATTERN ? 'event' : 'message';
  if (Reflect.hasOwnMetadata('path', handler) && Reflect.hasOwnMetadata('method', handler)) return 'http';
  return handler.name === 'handle' && isEventsHandler(instance) ? 'event' : 'plain';
}

/** `@EventsHandler()` of @nestjs/cqrs stands on the class. */
function isEventsHandler(instance: unknown): boolean {
  if (typeof instance !== 'object' || instance === null) return false;
  return Reflect.hasMetadata('__eventsHandler__', instance.constructor);
}
