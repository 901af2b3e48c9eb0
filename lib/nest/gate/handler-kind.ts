import 'reflect-metadata';
import { SSE_METADATA } from '@nestjs/common/constants.js';
import { PROCESSES_JOBS, QUEUE_EVENTS, WORKER_EVENTS, jobIn } from '../bullmq/jobs.js';

/** How callers of one kind are treated. */
export interface Behaviour {
  /**
   * What a call does while this process does not lead, unless `otherwise` says something else: it does nothing (`skip`), runs as
   * soon as this process leads (`wait`), runs in each term (`eachTerm`), fails (`reject`), or returns its job to the queue (`putBack`).
   */
  readonly onFollower: 'skip' | 'wait' | 'eachTerm' | 'reject' | 'putBack';
  /** What a call does that failed because its term ended: it returns undefined, throws what was thrown, or fails with `error`. */
  readonly onTermEnd: 'ignore' | 'rethrow' | 'fail';
  /** The error with which a call fails: ours, an exception that a route answers with 503, or an error for the client of a transport. */
  readonly error: 'own' | 'route' | 'transport';
  /** Whether callers expect a promise from every method. */
  readonly promise: boolean;
}

/** The kinds of handlers: who calls a method, and how that caller is treated. A new kind is a row here and in {@link CALLERS}. */
export const BEHAVIOURS = {
  /** A route. */
  http: { onFollower: 'reject', onTermEnd: 'fail', error: 'route', promise: false },
  /**
   * Answers a message of a microservice or a WebSocket, or resolves a query, a mutation, a subscription or a field of GraphQL: its
   * client gets an error of its transport.
   */
  transport: { onFollower: 'reject', onTermEnd: 'fail', error: 'transport', promise: true },
  /** A cron or interval job, called again and again. */
  schedule: { onFollower: 'skip', onTermEnd: 'ignore', error: 'own', promise: false },
  /** A job that is called once. */
  timeout: { onFollower: 'wait', onTermEnd: 'ignore', error: 'own', promise: false },
  /** A listener that nobody waits for. */
  event: { onFollower: 'skip', onTermEnd: 'ignore', error: 'own', promise: false },
  /** `process` of a worker, whose result says that the job is done. Its job was put back, and what is thrown says so. */
  job: { onFollower: 'putBack', onTermEnd: 'rethrow', error: 'own', promise: true },
  /** Called once, at start; the subscription to its result never ends. */
  saga: { onFollower: 'eachTerm', onTermEnd: 'ignore', error: 'own', promise: false },
  /** `execute` of CQRS, or a handler of messages that code calls: the caller expects a promise. */
  promised: { onFollower: 'reject', onTermEnd: 'rethrow', error: 'own', promise: true },
  /** Any other method; the caller expects its result. */
  plain: { onFollower: 'reject', onTermEnd: 'rethrow', error: 'own', promise: false },
} as const satisfies Readonly<Record<string, Behaviour>>;

/** Who calls a method, and what the caller expects. */
export type HandlerKind = keyof typeof BEHAVIOURS;

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

const COMMAND_KEYS = ['__commandHandler__', '__queryHandler__'];

/** A caller that calls without Nest's execution context. */
interface Caller {
  /** The metadata keys of its decorators on the method. */
  readonly keys?: readonly (string | symbol)[];
  /** Whether it calls this method of a class that is marked as a whole. */
  readonly ofClass?: (owner: object, method: string | symbol) => boolean;
  /** The kind of its call; undefined if somebody else makes this call. */
  readonly kind: (call: CallOfHandler) => HandlerKind | undefined;
}

const eventPattern: Caller['kind'] = (call) =>
  metadata(call, HANDLER_TYPE) === EVENT_PATTERN ? 'event' : undefined;

/**
 * The callers without a context. One method may have several, and the first that fits the call decides: so a caller that is known by its
 * arguments comes before one that any call of the method fits, and a handler of events before one of messages, which has the same key.
 */
const CALLERS: readonly Caller[] = [
  { keys: [PROCESSES_JOBS], kind: ({ args }) => (jobIn(args) === undefined ? undefined : 'job') },
  { keys: [SCHEDULER_TYPE], kind: scheduledKind },
  { keys: ['EVENT_LISTENER_METADATA', WORKER_EVENTS, QUEUE_EVENTS], kind: () => 'event' },
  { keys: [HANDLER_TYPE], kind: eventPattern },
  {
    ofClass: (owner, method) => method === 'handle' && Reflect.hasMetadata('__eventsHandler__', owner),
    kind: () => 'event',
  },
  { ofClass: isSaga, kind: () => 'saga' },
  {
    ofClass: (owner, method) =>
      method === 'execute' && COMMAND_KEYS.some((key) => Reflect.hasMetadata(key, owner)),
    kind: () => 'promised',
  },
  // Nest calls resolvers of fields without interceptors.
  {
    keys: ['graphql:resolver_type', 'graphql:resolve_property', 'graphql:resolve_reference'],
    kind: () => 'transport',
  },
  { keys: [MESSAGE_OF_SOCKET, HANDLER_TYPE], kind: () => 'promised' },
];

/**
 * The kind of a call. If Nest calls in an execution context, that decides. Schedulers, emitters and buses call without a context;
 * then the metadata decide, and whether the call has arguments, because a scheduler passes nothing but `onComplete`.
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
  const owner = classOf(call.instance);
  for (const { keys = [], ofClass, kind } of CALLERS) {
    const isMarked = keys.some((key) => metadata(call, key) !== undefined);
    if (!isMarked && (owner === undefined || ofClass?.(owner, call.method) !== true)) continue;
    const found = kind(call);
    if (found !== undefined) return found;
  }
  // Server-sent events without another caller have no interceptor that notes the context.
  return metadata(call, SSE_METADATA) === undefined ? 'plain' : 'http';
}

/** Whether a method may be called without an execution context by others than code, such as a scheduler, an emitter or a bus. */
export function hasCallerWithoutContext(owner: object, method: string | symbol, handler: object): boolean {
  return CALLERS.some(
    ({ keys = [], ofClass }) =>
      keys.some((key) => Reflect.hasOwnMetadata(key, handler)) || ofClass?.(owner, method) === true,
  );
}

/** Whether a function handles messages of a microservice or of a WebSocket. */
export function isMessageHandler(handler: object): boolean {
  if (Reflect.hasOwnMetadata(MESSAGE_OF_SOCKET, handler)) return true;
  const type: unknown = Reflect.getOwnMetadata(HANDLER_TYPE, handler);
  return type !== undefined && type !== EVENT_PATTERN;
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

/** The metadata say which of several decorators the scheduler used. */
function scheduledKind(call: CallOfHandler): HandlerKind | undefined {
  if (!call.args.every(isNothing)) return undefined;
  return metadata(call, SCHEDULER_TYPE) === TIMEOUT ? 'timeout' : 'schedule';
}

/** A cron job passes its `onComplete`, a function if there is one. */
function isNothing(argument: unknown): boolean {
  return argument === undefined || argument === null || typeof argument === 'function';
}

function classOf(instance: unknown): object | undefined {
  return typeof instance === 'object' && instance !== null ? instance.constructor : undefined;
}
