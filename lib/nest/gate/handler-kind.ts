import 'reflect-metadata';
import { SSE_METADATA } from '@nestjs/common/constants.js';
import {
  InvalidOptionsError,
  fieldsOf,
  kindOf,
  show,
  withNearest,
  type Disposer,
  type TermOverError,
} from '../../election/internal.js';
import { BULL_PROCESS, BULL_QUEUE_EVENT, bullJobIn } from '../bull/jobs.js';
import { QUEUE_EVENTS, WORKER_EVENTS, isWorkerHost, jobIn } from '../bullmq/jobs.js';
import type { RefusedCall } from './refusal.js';

/** Calls that Nest makes in an execution context. */
interface InContext {
  /** The type of the context: `http`, `rpc`, `ws`, `graphql`, or that of another package. */
  readonly type: string;
  /** Which of these calls; default: all. */
  readonly when?: (call: CallOfHandler) => boolean;
}

/** Calls that others than Nest make, such as a scheduler, an emitter or a bus. */
interface OutsideContexts {
  /** The metadata keys of the decorators on the method. */
  readonly keys?: readonly (string | symbol)[];
  /** Whether it is the method that is called of a class that is marked as a whole. */
  readonly ofClass?: (owner: object, method: string | symbol) => boolean;
  /** Which calls of this method; default: all. Somebody else makes the others. */
  readonly when?: (call: CallOfHandler) => boolean;
}

/** One kind of handler: how its calls are recognised, and how their caller is treated. */
export interface KindOfHandler {
  readonly kind: string;
  /** The decorators of its methods, as users write them. */
  readonly decorators: readonly string[];
  readonly inContext?: InContext;
  readonly outside?: OutsideContexts;
  /**
   * What a call does while this process does not lead, unless `otherwise` says something else: it does nothing (`skip`), runs as soon as this
   * process leads (`wait`), runs in each term (`eachTerm`), fails (`reject`), or returns its job to the queue (`putBack`). A function
   * gives the result.
   */
  readonly onFollower: 'skip' | 'wait' | 'eachTerm' | 'reject' | 'putBack' | ((call: RefusedCall) => unknown);
  /**
   * What a call does that failed because its term ended: it returns undefined, throws what was thrown, fails with `error`, or returns its
   * job to the queue. A function gives the result.
   */
  readonly onTermOver: 'ignore' | 'rethrow' | 'fail' | 'putBack' | ((error: TermOverError) => unknown);
  /** The error with which a call fails: ours, an exception that a route answers with 503, or an error for the client of a transport. */
  readonly error: 'own' | 'route' | 'transport';
  /** Whether callers expect a promise from every method. */
  readonly promise: boolean;
}

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
  readonly owner: object | undefined;
  readonly args: readonly unknown[];
  /** The type of Nest's execution context; undefined outside one. */
  readonly context: string | undefined;
}

// Keys of packages that are optional and do not export them; test/consumers/integrations finds out if one changes.

const MESSAGE_OF_SOCKET = 'websockets:message_mapping';
const HANDLER_TYPE = 'microservices:handler_type';
const TRANSPORT = 'microservices:transport';
const EVENT_PATTERN = 2;
/** `Transport.GRPC`. */
const GRPC = 4;

const SCHEDULER_TYPE = 'SCHEDULER_TYPE';
const TIMEOUT = 2;

const COMMAND_KEYS = ['__commandHandler__', '__queryHandler__'];

const skipped = { onFollower: 'skip', onTermOver: 'ignore', error: 'own', promise: false } as const;
const answered = { onFollower: 'reject', onTermOver: 'fail', error: 'transport', promise: true } as const;
const called = { onFollower: 'reject', onTermOver: 'rethrow', error: 'own' } as const;

/**
 * The kinds of handlers. One method may have several callers, and the first row that fits the call decides: so a caller that is known by its
 * arguments comes before one that any call of the method fits, and a handler of events before one of messages, which has the same key.
 */
export const HANDLER_KINDS = [
  /** Its result says that the job is done. A job of the term has been put back inside the gate, and what is thrown says so. */
  {
    kind: 'bullmq',
    decorators: ['@Processor'],
    outside: {
      ofClass: (owner, method) => method === 'process' && isWorkerHost((owner as Class).prototype),
      when: ({ args }) => jobIn(args) !== undefined,
    },
    onFollower: 'putBack',
    onTermOver: 'rethrow',
    error: 'own',
    promise: true,
  },
  {
    kind: 'bull',
    decorators: ['@Process'],
    outside: { keys: [BULL_PROCESS], when: ({ args }) => bullJobIn(args) !== undefined },
    onFollower: 'putBack',
    onTermOver: 'putBack',
    error: 'own',
    promise: true,
  },
  /** Called once. */
  {
    kind: 'timeout',
    decorators: ['@Timeout'],
    outside: {
      keys: [SCHEDULER_TYPE],
      when: (call) => isOfScheduler(call) && metadata(call, SCHEDULER_TYPE) === TIMEOUT,
    },
    ...skipped,
    onFollower: 'wait',
  },
  /** Called again and again. */
  {
    kind: 'schedule',
    decorators: ['@Cron', '@Interval'],
    outside: { keys: [SCHEDULER_TYPE], when: isOfScheduler },
    ...skipped,
  },
  /** A listener that nobody waits for. */
  {
    kind: 'event',
    decorators: ['@OnEvent'],
    outside: { keys: ['EVENT_LISTENER_METADATA', WORKER_EVENTS, QUEUE_EVENTS, BULL_QUEUE_EVENT] },
    ...skipped,
  },
  {
    kind: 'eventPattern',
    decorators: ['@EventPattern'],
    inContext: { type: 'rpc', when: isOfEventPattern },
    outside: { keys: [HANDLER_TYPE], when: isOfEventPattern },
    ...skipped,
  },
  {
    kind: 'eventsHandler',
    decorators: ['@EventsHandler'],
    outside: {
      ofClass: (owner, method) => method === 'handle' && Reflect.hasMetadata('__eventsHandler__', owner),
    },
    ...skipped,
  },
  /** Called once, at start; the subscription to its result never ends. */
  {
    kind: 'saga',
    decorators: ['@Saga'],
    outside: { ofClass: isSaga },
    ...skipped,
    onFollower: 'eachTerm',
  },
  /** A subscriber of @golevelup/nestjs-rabbitmq. A message whose handler fails is delivered again, unless its options say otherwise. */
  {
    kind: 'rabbitmq',
    decorators: ['@RabbitSubscribe', '@RabbitRPC'],
    inContext: { type: 'rmq' },
    ...answered,
  },
  {
    kind: 'grpc',
    decorators: ['@GrpcMethod', '@GrpcStreamMethod', '@GrpcStreamCall'],
    inContext: { type: 'rpc', when: (call) => metadata(call, TRANSPORT) === GRPC },
    ...answered,
  },
  { kind: 'message', decorators: ['@MessagePattern'], inContext: { type: 'rpc' }, ...answered },
  { kind: 'socket', decorators: ['@SubscribeMessage'], inContext: { type: 'ws' }, ...answered },
  /** Nest calls resolvers of fields without interceptors, so the context is not known. */
  {
    kind: 'graphql',
    decorators: ['@Query', '@Mutation', '@Subscription', '@ResolveField'],
    inContext: { type: 'graphql' },
    outside: { keys: ['graphql:resolver_type', 'graphql:resolve_property', 'graphql:resolve_reference'] },
    ...answered,
  },
  {
    kind: 'command',
    decorators: ['@CommandHandler', '@QueryHandler'],
    outside: {
      ofClass: (owner, method) =>
        method === 'execute' && COMMAND_KEYS.some((key) => Reflect.hasMetadata(key, owner)),
    },
    ...called,
    promise: true,
  },
  /** A handler of messages that code calls: the caller expects a promise. */
  {
    kind: 'promised',
    decorators: [],
    outside: { keys: [MESSAGE_OF_SOCKET, HANDLER_TYPE] },
    ...called,
    promise: true,
  },
  /** Server-sent events without another caller have no interceptor that notes the context. */
  {
    kind: 'http',
    decorators: ['@Get', '@Post', '@Sse'],
    inContext: { type: 'http' },
    outside: { keys: [SSE_METADATA] },
    onFollower: 'reject',
    onTermOver: 'fail',
    error: 'route',
    promise: false,
  },
  /** Any other method; the caller expects its result. */
  { kind: 'plain', decorators: [], ...called, promise: false },
] as const satisfies readonly KindOfHandler[];

/** The kinds of handlers that this package knows. */
export type HandlerKind = (typeof HANDLER_KINDS)[number]['kind'];

const PLAIN: KindOfHandler = HANDLER_KINDS[HANDLER_KINDS.length - 1] as KindOfHandler;

/** A kind of handler of the application's own, or of a package that this one does not know. */
export interface HandlerKindOptions {
  /** Its name, for `@OnlyWhenLeader({ kind })`. */
  readonly kind: string;
  /**
   * Which calls are of this kind, without `kind` on the gate: those of methods that carry the metadata key `metadata`, and those that Nest
   * makes in an execution context of the type `context`. Without both only gates that name the kind have it.
   */
  readonly recognise?: { readonly metadata?: string | symbol; readonly context?: string };
  /**
   * What a call does while this process does not lead. `'skip'` returns undefined, `'reject'` fails with `LEADER_NOT_LEADER`, `'wait'` runs the
   * method once, as soon as this process leads. A function returns the result.
   */
  readonly onFollower: 'skip' | 'reject' | 'wait' | ((call: RefusedCall) => unknown);
  /**
   * What a call does that failed because its term ended. `'ignore'` returns undefined, `'rethrow'` throws what the method threw. A function
   * returns the result.
   */
  readonly onTermOver: 'ignore' | 'rethrow' | ((error: TermOverError) => unknown);
}

/** The kinds that the application registered. */
const registered: KindOfHandler[] = [];

const OF_NEST = ['http', 'rpc', 'ws', 'graphql'];

/**
 * Registers a kind of handler. Call it once, before the application is created: beside the decorator of its methods, say. It comes before the
 * kinds that this package knows. The returned function removes it, for tests.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`, also if a kind of that name exists.
 */
export function registerHandlerKind(options: HandlerKindOptions): Disposer {
  const violations = violationsIn(options);
  if (violations.length > 0)
    throw new InvalidOptionsError(violations, 'The options of registerHandlerKind()');
  const { kind, recognise: { metadata: key, context } = {}, onFollower, onTermOver } = options;
  const row: KindOfHandler = {
    kind,
    decorators: [],
    ...(context !== undefined && { inContext: { type: context } }),
    ...(key !== undefined && { outside: { keys: [key] } }),
    onFollower,
    onTermOver,
    error: 'own',
    promise: false,
  };
  registered.push(row);
  return () => {
    const at = registered.indexOf(row);
    if (at >= 0) registered.splice(at, 1);
  };
}

const OPTIONS = ['kind', 'recognise', 'onFollower', 'onTermOver'];

function violationsIn(options: unknown): string[] {
  const given = fieldsOf(options, OPTIONS);
  if (given === undefined) return [`they are ${kindOf(options)}: they must be an object`];
  const { kind, recognise, onFollower, onTermOver } = given;
  return [
    ...unknownOptions(given, OPTIONS),
    (typeof kind !== 'string' || kind === '') && `kind is ${show(kind)}: it must be a name`,
    typeof kind === 'string' &&
      handlerKinds().includes(kind) &&
      `kind '${kind}' exists already: choose another name, or register it once, where its decorator is`,
    ...recogniseViolations(recognise),
    !isOneOf(['skip', 'reject', 'wait'], onFollower) &&
      `onFollower is ${show(onFollower)}: it must be 'skip', 'reject', 'wait' or a function`,
    !isOneOf(['ignore', 'rethrow'], onTermOver) &&
      `onTermOver is ${show(onTermOver)}: it must be 'ignore', 'rethrow' or a function`,
  ].filter((violation) => violation !== false);
}

const RECOGNISE = ['metadata', 'context'];

function recogniseViolations(recognise: unknown): string[] {
  if (recognise === undefined) return [];
  const given = fieldsOf(recognise, RECOGNISE);
  if (given === undefined)
    return [`recognise is ${kindOf(recognise)}: it must be an object with metadata or context`];
  const { metadata: key, context } = given;
  const isKey = key === undefined || typeof key === 'symbol' || (typeof key === 'string' && key !== '');
  const isType = context === undefined || (typeof context === 'string' && context !== '');
  return [
    ...unknownOptions(given, RECOGNISE).map((violation) => `recognise.${violation}`),
    !isKey && `recognise.metadata is ${show(key)}: it must be a metadata key, a non-empty string or a symbol`,
    !isType &&
      `recognise.context is ${show(context)}: it must be the type of an execution context, a non-empty string`,
    OF_NEST.includes(context as string) &&
      `recognise.context is ${show(context)}: its handlers have kinds already; give their gates otherwise or kind`,
  ].filter((violation) => violation !== false);
}

function unknownOptions(given: Readonly<Record<string, unknown>>, known: readonly string[]): string[] {
  return Object.keys(given)
    .filter((name) => !known.includes(name))
    .map(
      (name) => `${withNearest(name, known)}: there is no such option; the options are ${known.join(', ')}`,
    );
}

function isOneOf(values: readonly string[], value: unknown): boolean {
  return typeof value === 'function' || values.includes(value as string);
}

function allKinds(): readonly KindOfHandler[] {
  return [...registered, ...HANDLER_KINDS];
}

/** The names of all kinds. */
export function handlerKinds(): string[] {
  return allKinds().map(({ kind }) => kind);
}

/** The kind of that name. @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` if there is none. */
export function kindNamed(name: string): KindOfHandler {
  const found = allKinds().find(({ kind }) => kind === name);
  if (found === undefined)
    throw new InvalidOptionsError([unknownKind(name)], 'The options of @OnlyWhenLeader()');
  return found;
}

/** The sentence about a kind that does not exist. */
export function unknownKind(name: string): string {
  return (
    `kind is '${name}': it must be one of ${handlerKinds().join(', ')}, or be registered with registerHandlerKind() before the ` +
    `application is created`
  );
}

/**
 * The kind of a call. If Nest calls in an execution context, that decides. Schedulers, emitters and buses call without a context;
 * then the metadata decide, and whether the call has arguments, because a scheduler passes nothing but `onComplete`.
 *
 * To be called when the method is called: decorators above the gate, and on the class, add their metadata after it.
 */
export function kindOfCall(call: CallOfHandler): KindOfHandler {
  const found = allKinds().find((row) => isInContext(row, call) || isOutside(row, call));
  return found ?? PLAIN;
}

function isInContext({ inContext }: KindOfHandler, call: CallOfHandler): boolean {
  return inContext !== undefined && inContext.type === call.context && (inContext.when?.(call) ?? true);
}

function isOutside(row: KindOfHandler, call: CallOfHandler): boolean {
  const { outside } = row;
  // A package with a context of its own may be known by its metadata only.
  const mayBe = call.context === undefined || (registered.includes(row) && !OF_NEST.includes(call.context));
  if (outside === undefined || !mayBe) return false;
  const { keys = [], ofClass, when } = outside;
  const isMarked =
    keys.some((key) => metadata(call, key) !== undefined) ||
    (call.owner !== undefined && ofClass?.(call.owner, call.method) === true);
  return isMarked && (when?.(call) ?? true);
}

/** The kinds of the callers that may call a method without an execution context: schedulers, emitters, buses, and code. */
function kindsOutside(owner: object, method: string | symbol, handler: object): KindOfHandler[] {
  return allKinds().filter(
    ({ outside: { keys = [], ofClass } = {} }) =>
      keys.some((key) => Reflect.hasOwnMetadata(key, handler)) || ofClass?.(owner, method) === true,
  );
}

/** Whether a method may be called without an execution context by others than code, such as a scheduler, an emitter or a bus. */
export function hasCallerWithoutContext(owner: object, method: string | symbol, handler: object): boolean {
  return kindsOutside(owner, method, handler).some(({ kind }) => kind !== 'http');
}

/** The decorators whose packages call a method without an execution context, so without its guards. */
export function decoratorsWithoutGuards(owner: object, method: string | symbol, handler: object): string[] {
  const unguarded = kindsOutside(owner, method, handler).filter(({ inContext }) => inContext === undefined);
  return [...new Set(unguarded.flatMap(({ decorators }) => decorators))];
}

/** Whether a function handles messages of a microservice or of a WebSocket. */
export function isMessageHandler(handler: object): boolean {
  if (Reflect.hasOwnMetadata(MESSAGE_OF_SOCKET, handler)) return true;
  const type: unknown = Reflect.getOwnMetadata(HANDLER_TYPE, handler);
  return type !== undefined && type !== EVENT_PATTERN;
}

/** Whether a function handles events of a microservice. */
export function isEventHandler(handler: object): boolean {
  return Reflect.getOwnMetadata(HANDLER_TYPE, handler) === EVENT_PATTERN;
}

/** The transport that the decorator of a handler names, as a number; undefined for all transports of the application. */
export function transportOf(handler: object): number | undefined {
  return Reflect.getOwnMetadata(TRANSPORT, handler) as number | undefined;
}

/** @nestjs/cqrs keeps the names of a class's sagas on the class. */
export function isSaga(owner: object, key: string | symbol): boolean {
  const sagas = Reflect.getMetadata('__saga__', owner) as readonly unknown[] | undefined;
  return sagas?.includes(key) === true;
}

interface Class {
  readonly prototype: object;
}

function metadata({ outermost, gated }: CallOfHandler, key: string | symbol): unknown {
  const own: unknown = typeof outermost === 'function' ? Reflect.getOwnMetadata(key, outermost) : undefined;
  return own ?? Reflect.getOwnMetadata(key, gated);
}

function isOfEventPattern(call: CallOfHandler): boolean {
  return metadata(call, HANDLER_TYPE) === EVENT_PATTERN;
}

/** The metadata say which of several decorators the scheduler used. */
function isOfScheduler({ args }: CallOfHandler): boolean {
  return args.every(isNothing);
}

/** A cron job passes its `onComplete`, a function if there is one. */
function isNothing(argument: unknown): boolean {
  return argument === undefined || argument === null || typeof argument === 'function';
}
