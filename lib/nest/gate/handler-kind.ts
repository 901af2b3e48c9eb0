import 'reflect-metadata';
import { SSE_METADATA } from '@nestjs/common/constants.js';
import { PROCESSES_JOBS, QUEUE_EVENTS, WORKER_EVENTS, jobIn } from '../bullmq/jobs.js';

/**
 * Who calls a method, and what the caller expects:
 *
 * - `http`: a route
 * - `transport`: answers a message of a microservice or a WebSocket, or resolves a query, a mutation, a subscription or a
 *   field of GraphQL: its client gets an error of its transport
 * - `schedule`: a cron or interval job, called again and again
 * - `timeout`: a job that is called once
 * - `event`: a listener that nobody waits for
 * - `job`: `process` of a worker, whose result says that the job is done
 * - `saga`: called once, at start; the subscription to its result never ends
 * - `promised`: `execute` of CQRS, or a handler of messages that code calls: the caller expects a promise
 * - `plain`: any other method; the caller expects its result
 */
export type HandlerKind =
  'http' | 'transport' | 'schedule' | 'timeout' | 'event' | 'job' | 'saga' | 'promised' | 'plain';

/** A call of a gated method. */
export interface CallOfHandler {
  /** The gate, with the metadata below and above it. */
  readonly gated: object;
  /**
   * The function on the class. A decorator above the gate may have wrapped the gate without copying its metadata; Nest and its
   * packages read this function.
   */
  readonly outermost: unknown;
  readonly method: string | symbol;
  readonly instance: unknown;
  readonly args: readonly unknown[];
  /** The type of Nest's execution context; undefined outside one. */
  readonly context: string | undefined;
}

// Keys of packages that are optional and do not export them; test/consumers/integrations finds out if one changes.

const MESSAGE_OF_SOCKET = 'websockets:message_mapping';
const HANDLER_TYPE = 'microservices:handler_type';
const EVENT_PATTERN = 2;

const SCHEDULER_TYPE = 'SCHEDULER_TYPE';
const TIMEOUT = 2;

const listenerKeys = ['EVENT_LISTENER_METADATA', WORKER_EVENTS, QUEUE_EVENTS];
const resolverKeys = ['graphql:resolver_type', 'graphql:resolve_property', 'graphql:resolve_reference'];
const commandKeys = ['__commandHandler__', '__queryHandler__'];

/**
 * The kind of a call. If Nest calls in an execution context, that decides. Schedulers, emitters and buses call without a context;
 * then the metadata decide, and whether the call has arguments, because a scheduler passes none.
 *
 * To be called when the method is called: decorators above the gate, and on the class, add their metadata after it.
 */
export function kindOfCall(call: CallOfHandler): HandlerKind {
  return call.context === undefined ? kindOutsideContexts(call) : kindInContext(call.context, call);
}

function kindInContext(context: string, call: CallOfHandler): HandlerKind {
  switch (context) {
    case 'http':
      return 'http';
    case 'rpc':
      return metadata(call, HANDLER_TYPE) === EVENT_PATTERN ? 'event' : 'transport';
    case 'ws':
    case 'graphql':
      return 'transport';
    default:
      return 'plain';
  }
}

function kindOutsideContexts(call: CallOfHandler): HandlerKind {
  const { args, method } = call;
  const owner = classOf(call.instance);
  if (metadata(call, PROCESSES_JOBS) !== undefined && jobIn(args) !== undefined) return 'job';
  // This metadata says which of several decorators the scheduler used.
  const scheduled = metadata(call, SCHEDULER_TYPE);
  if (scheduled !== undefined && args.every(isNothing)) return scheduled === TIMEOUT ? 'timeout' : 'schedule';
  if (hasOneOf(call, listenerKeys) || metadata(call, HANDLER_TYPE) === EVENT_PATTERN) return 'event';
  if (owner !== undefined) {
    if (method === 'handle' && Reflect.hasMetadata('__eventsHandler__', owner)) return 'event';
    if (isSaga(owner, method)) return 'saga';
    if (method === 'execute' && commandKeys.some((key) => Reflect.hasMetadata(key, owner))) return 'promised';
  }
  // Nest calls resolvers of fields and server-sent events without interceptors.
  if (hasOneOf(call, resolverKeys)) return 'transport';
  if (hasOneOf(call, [MESSAGE_OF_SOCKET, HANDLER_TYPE])) return 'promised';
  return metadata(call, SSE_METADATA) === undefined ? 'plain' : 'http';
}

/** Whether a function handles messages of a microservice or of a WebSocket. */
export function isMessageHandler(handler: object): boolean {
  if (Reflect.hasOwnMetadata(MESSAGE_OF_SOCKET, handler)) return true;
  const type: unknown = Reflect.getOwnMetadata(HANDLER_TYPE, handler);
  return type !== undefined && type !== EVENT_PATTERN;
}

/** Whether a scheduler or an emitter calls a function, among others. */
export function isJobOrListener(handler: object): boolean {
  return [SCHEDULER_TYPE, ...listenerKeys].some((key) => Reflect.hasOwnMetadata(key, handler));
}

/** @nestjs/cqrs keeps the names of a class's sagas on the class. */
export function isSaga(owner: object, key: string | symbol): boolean {
  const sagas = Reflect.getMetadata('__saga__', owner) as readonly unknown[] | undefined;
  return sagas?.includes(key) === true;
}

function metadata({ outermost, gated }: CallOfHandler, key: string | symbol): unknown {
  const own: unknown = typeof outermost === 'function' ? Reflect.getOwnMetadata(key, outermost) : undefined;
  return own ?? Reflect.getOwnMetadata(key, gated);
}

function hasOneOf(call: CallOfHandler, keys: readonly string[]): boolean {
  return keys.some((key) => metadata(call, key) !== undefined);
}

/** A cron job passes its `onComplete`, a function if there is one. */
function isNothing(argument: unknown): boolean {
  return argument === undefined || argument === null || typeof argument === 'function';
}

function classOf(instance: unknown): object | undefined {
  return typeof instance === 'object' && instance !== null ? instance.constructor : undefined;
}

/** The metadata key of a method's gate. By prototype and name, because a decorator above the gate may replace the function. */
export const GATE = Symbol.for('nestjs-leader.gate');

/** Registers a gate of a method, outside the gates that it has. */
export function markGated(prototype: object, key: string | symbol, gate: object): void {
  Reflect.defineMetadata(GATE, gate, prototype, key);
}

/** The outermost gate of a method that the class itself declares. */
export function gateOf(prototype: object, key: string | symbol): object | undefined {
  return Reflect.getOwnMetadata(GATE, prototype, key) as object | undefined;
}
