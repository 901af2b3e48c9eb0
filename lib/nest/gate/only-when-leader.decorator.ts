import 'reflect-metadata';
import { BULL_QUEUE_EVENT } from '../bull/jobs.js';
import { WORKER_EVENTS, isWorkerHost, jobIn, leadProcess, putBack } from '../bullmq/jobs.js';
import {
  DEFAULT_ELECTION,
  TEXT,
  currentTerm,
  isTermOver,
  refuseInvalid,
  type OptionRule,
} from '../../election/internal.js';
import { hooksOn } from '../hooks/leadership-hooks.js';
import { disguise, gate, isGated, type Method } from './gate.js';
import { errorOfOver } from './gated-iteration.js';
import { gateOf, markGated } from './gate-key.js';
import { isSaga, type HandlerKind } from './handler-kind.js';
import { injectLeaderFor } from './leader-key.js';
import type { Otherwise } from './refusal.js';

/** Options of the gate. */
export interface OnlyWhenLeaderOptions {
  /** The name of the election. Default: the default election. */
  readonly election?: string | undefined;
  /**
   * What to do while this process does not lead, instead of the default for the kind of handler. `'skip'` does nothing (a route
   * answers 204, a job goes back to waiting). `'reject'` fails with the error of its transport or, if nobody waits for the result,
   * with `LEADER_NOT_LEADER`. A function returns the result.
   */
  readonly otherwise?: Otherwise | undefined;
  /**
   * The kind of handler that every call of the method is, also one that code makes: what a follower does, and how an ended term is told. Default:
   * who calls decides. A name of a row in the documentation of the gate, or of `registerHandlerKind()`; another name fails at boot.
   */
  readonly kind?: HandlerKind | (string & {}) | undefined;
}

/**
 * Lets a method run only while this process leads, as work of the term: `currentTerm()` returns the term, and a hand-over stops the work and
 * waits for it. It may be above or below any other decorator. Guards, interceptors and pipes run before it. A decorator that wraps the
 * method runs on a follower, too, unless it is below the gate.
 *
 * On a class it applies to every method with metadata, also inherited ones, to `execute` and `handle`, which CQRS calls, and to `process`
 * of a BullMQ worker; never to lifecycle methods, leadership hooks and methods that listen to the events of a queue.
 *
 * While this process does not lead, it depends on the kind of handler: cron and interval jobs and event listeners are skipped (an event of Kafka or RabbitMQ is
 * lost then); `@Timeout` jobs wait until this process leads; routes answer 503 with the leader's name and Retry-After;
 * messages, sockets and GraphQL get an error of their transport with the code `NOT_LEADER`, gRPC the status UNAVAILABLE; subscribers of
 * @golevelup/nestjs-rabbitmq fail, so that the message goes back to its queue; any other method fails with `LEADER_NOT_LEADER`, as a rejection if it is async.
 *
 * The worker of a gated `process` runs only while this process leads, whatever its `autorun` is, and a queue of @nestjs/bull with gated
 * `@Process()` methods is paused in this process until it leads. A job that they still get, or that fails because its term has ended, goes back to waiting. It is neither completed nor failed.
 *
 * A returned promise, observable, generator, async iterable, stream or `StreamableFile` is part of the call, and ends with the term's error
 * when the term ends. Synchronous work is never interrupted.
 *
 * @throws LeaderError `LEADER_MODULE_MISSING` when called outside any term on an instance that is not a provider of the application.
 * The decorator itself throws InvalidOptionsError `LEADER_INVALID_OPTIONS`.
 */
export function OnlyWhenLeader(options: OnlyWhenLeaderOptions = {}): MethodDecorator & ClassDecorator {
  refuseInvalid('The options of @OnlyWhenLeader()', options, rules);
  const decorate = (target: object, key?: string | symbol, descriptor?: PropertyDescriptor): unknown => {
    if (key === undefined) {
      gateHandlersOf((target as { prototype: object }).prototype, options);
      return undefined;
    }
    if (descriptor === undefined || typeof descriptor.value !== 'function') {
      throw new TypeError(`@OnlyWhenLeader() cannot decorate '${String(key)}': it is not a method.`);
    }
    return gateMethod(target, key, descriptor, options);
  };
  return decorate as MethodDecorator & ClassDecorator;
}

const rules: Record<keyof OnlyWhenLeaderOptions, OptionRule> = {
  election: TEXT,
  otherwise: [
    (value) => value === 'skip' || value === 'reject' || typeof value === 'function',
    "it must be 'skip', 'reject' or a function",
  ],
  kind: TEXT,
};

function gateHandlersOf(prototype: object, options: OnlyWhenLeaderOptions): void {
  for (const [key, descriptor] of handlersOf(prototype)) {
    Object.defineProperty(prototype, key, gateMethod(prototype, key, descriptor, options));
  }
}

function gateMethod(
  prototype: object,
  key: string | symbol,
  descriptor: PropertyDescriptor,
  { election = DEFAULT_ELECTION, otherwise, kind }: OnlyWhenLeaderOptions,
): PropertyDescriptor {
  const leaderKey = injectLeaderFor('OnlyWhenLeader', { prototype, method: key }, election);
  const given = descriptor.value as Method;
  const processesJobs = key === 'process' && isWorkerHost(prototype);
  const method = processesJobs ? gatedProcess(given, prototype, election) : given;
  // `applyDecorators` ignores the return value of a decorator, so the descriptor is changed, too.
  const gated = gate(method, {
    election,
    otherwise,
    kind,
    leaderKey,
    key,
    isAsync: isAsync(prototype, key, method),
    isInnermost: gateOf(prototype, key) === undefined,
    outermostGate: () => gateOf(prototype, key) as Method,
    outermost: () => Object.getOwnPropertyDescriptor(prototype, key)?.value as unknown,
  });
  markGated(prototype, key, gated);
  descriptor.value = gated;
  return descriptor;
}

/**
 * Wraps `process` of a worker, inside the gate. A job that fails because its term has ended goes back to waiting. That is work of the
 * term, so a hand-over releases the lease when the next leader can get the job.
 */
function gatedProcess(process: Method, prototype: object, election: string): Method {
  leadProcess(prototype, election);
  const puttingBack: Method = async function (this: unknown, ...args) {
    const term = currentTerm(election);
    try {
      return await process.apply(this, args);
    } catch (error) {
      const job = jobIn(args);
      if (job === undefined || !isTermOver(error, term)) throw error;
      return putBack(job, args, errorOfOver(term));
    }
  };
  disguise(puttingBack, process);
  return puttingBack;
}

const AsyncFunction = (async () => Promise.resolve()).constructor;
const AsyncGeneratorFunction = async function* () {
  yield await Promise.resolve(0);
}.constructor;

function isAsync(prototype: object, key: string | symbol, method: Method): boolean {
  // Compilers emit Promise as the return type of an async generator, but a promise cannot be iterated over.
  if (method instanceof AsyncGeneratorFunction) return false;
  return (
    method instanceof AsyncFunction || Reflect.getMetadata('design:returntype', prototype, key) === Promise
  );
}

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
function handlersOf(prototype: object): MethodOfClass[] {
  return methodsOf(prototype).filter(([key, descriptor]) => {
    const value: unknown = descriptor.value;
    if (LIFECYCLE.has(key) || typeof value !== 'function' || isGated(value)) return false;
    if (typeof key === 'string' && hooksOn(prototype, key).length > 0) return false;
    // It is also called for jobs that end after their term.
    if ([WORKER_EVENTS, BULL_QUEUE_EVENT].some((event) => Reflect.hasOwnMetadata(event, value))) return false;
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
