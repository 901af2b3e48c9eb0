import 'reflect-metadata';
import { gatedProcess } from '../bullmq/gated-process.js';
import { isWorkerHost } from '../bullmq/job-processor.js';
import { gate, type Method } from './gate.js';
import { handlersOf } from './handlers-of-class.js';
import { injectLeaderFor } from './leader-key.js';
import { gateOf, markGated } from './prepare-handlers.js';
import type { Otherwise } from './refusal.js';
import { DEFAULT_ELECTION } from '../tokens.js';

/** How to gate. */
export interface OnlyWhenLeaderOptions {
  /** Which election decides. Default: the default one. */
  readonly election?: string | undefined;
  /**
   * What to do while this process does not lead, instead of what the kind of handler asks for: `'skip'` does nothing (a
   * route answers 204, a job goes back to waiting), `'reject'` fails (in the way of its transport, where somebody waits for the
   * result; otherwise with `LEADER_NOT_LEADER`), a function gives the result.
   */
  readonly otherwise?: Otherwise | undefined;
}

/**
 * Lets a method run only while this process leads, as work of the term: `currentTerm()` tells it, a hand-over stops and
 * waits for it. It may stand above or below any other decorator; guards, interceptors and pipes run before it, and a decorator
 * that wraps the method runs on a follower, too, unless it stands below the gate.
 *
 * On a class: every method that carries metadata, inherited ones included, `execute` and `handle`, which CQRS
 * calls, and `process` of a BullMQ worker; never lifecycle methods, leadership hooks nor `@OnWorkerEvent` methods.
 *
 * While another leads, by who calls: cron and interval jobs and event listeners are skipped (an event of Kafka or RabbitMQ is
 * lost then); `@Timeout` jobs wait until this process leads; routes answer 503 with the leader's name and Retry-After;
 * messages, sockets and GraphQL get an error of their transport with the code `NOT_LEADER`, gRPC the status UNAVAILABLE; any
 * other method fails with `LEADER_NOT_LEADER`, as a rejection if it is async.
 *
 * The worker of a gated `process` runs only while this process leads, whatever its `autorun` says. A job that comes to it
 * all the same, or fails because its term has ended, goes back to waiting: never completed, never failed.
 *
 * A returned promise, observable, generator, async iterable, stream or `StreamableFile` is part of the call, and ends with the
 * term's error when the term does. What is running is never cut off in the middle of synchronous work.
 *
 * @throws LeaderError `LEADER_MODULE_MISSING` when called on an instance that is no provider of the application, outside any term.
 */
export function OnlyWhenLeader(options: OnlyWhenLeaderOptions = {}): MethodDecorator & ClassDecorator {
  const decorate = (target: object, key?: string | symbol, descriptor?: PropertyDescriptor): unknown => {
    if (key === undefined) {
      gateHandlersOf((target as { prototype: object }).prototype, options);
      return undefined;
    }
    if (descriptor === undefined || typeof descriptor.value !== 'function') {
      throw new TypeError(`@OnlyWhenLeader() stands on '${String(key)}', which is no method.`);
    }
    return gateMethod(target, key, descriptor, options);
  };
  return decorate as MethodDecorator & ClassDecorator;
}

function gateHandlersOf(prototype: object, options: OnlyWhenLeaderOptions): void {
  for (const [key, descriptor] of handlersOf(prototype)) {
    Object.defineProperty(prototype, key, gateMethod(prototype, key, descriptor, options));
  }
}

function gateMethod(
  prototype: object,
  key: string | symbol,
  descriptor: PropertyDescriptor,
  { election = DEFAULT_ELECTION, otherwise }: OnlyWhenLeaderOptions,
): PropertyDescriptor {
  const leaderKey = injectLeaderFor('OnlyWhenLeader', { prototype, method: key }, election);
  const given = descriptor.value as Method;
  const processesJobs = key === 'process' && isWorkerHost(prototype);
  const method = processesJobs ? gatedProcess(given, prototype, election) : given;
  // `applyDecorators` ignores what a decorator returns, so the descriptor itself is changed, too.
  const gated = gate(method, {
    election,
    otherwise,
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

const AsyncFunction = (async () => Promise.resolve()).constructor;
const AsyncGeneratorFunction = async function* () {
  yield await Promise.resolve(0);
}.constructor;

function isAsync(prototype: object, key: string | symbol, method: Method): boolean {
  // Compilers describe an async generator as returning a promise, and nobody can iterate over one.
  if (method instanceof AsyncGeneratorFunction) return false;
  return (
    method instanceof AsyncFunction || Reflect.getMetadata('design:returntype', prototype, key) === Promise
  );
}
