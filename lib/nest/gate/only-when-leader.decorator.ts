import 'reflect-metadata';
import { gatedProcess } from '../bullmq/gated-process.js';
import { WORKER_EVENTS, isWorkerHost } from '../bullmq/job-processor.js';
import { gate, isGated, type Method } from './gate.js';
import { injectLeaderFor } from './leader-key.js';
import type { Otherwise } from './refusal.js';
import { DEFAULT_ELECTION } from '../tokens.js';

/** How to gate. */
export interface OnlyWhenLeaderOptions {
  /** Which election decides. Default: the default one. */
  readonly election?: string;
  /**
   * What to do while this process does not lead, instead of what the kind of handler asks for: `'skip'` does nothing (a
   * route answers 204, a job goes back to waiting), `'reject'` fails (a route with 503, anything else with `LEADER_NOT_LEADER`), a function gives the
   * result.
   */
  readonly otherwise?: Otherwise;
}

/**
 * Lets a method run only while this process leads, as work of the term: `currentTerm()` tells it, a hand-over stops and
 * waits for it. Above or below any other decorator. On a class: every method of it that carries a handler's metadata, and
 * `process` of a BullMQ worker; not its `@OnWorkerEvent` methods.
 *
 * While another leads: cron and interval jobs and event listeners are skipped; `@Timeout` jobs wait until this process
 * leads; routes answer 503 with the leader's name; any other method fails with `LEADER_NOT_LEADER`, as a rejection if
 * it is async.
 *
 * The worker of a gated `process` runs only while this process leads, whatever its `autorun` says. A job that comes to it
 * all the same, or fails with the error of its own term, goes back to waiting: never completed, never failed.
 *
 * A returned promise, observable, async generator or stream is part of the call, and ends with the term's error when
 * the term does. What is running is never cut off in the middle of synchronous work.
 *
 * @throws LeaderError `LEADER_MODULE_MISSING` when called on an instance that Nest did not make, outside any term.
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
  for (const key of Reflect.ownKeys(prototype)) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, key);
    const method: unknown = descriptor?.value;
    if (descriptor === undefined || key === 'constructor' || typeof method !== 'function' || isGated(method))
      continue;
    // Hooks and plain helpers carry none; the method's own call decides about those.
    if (Reflect.getOwnMetadataKeys(method).length === 0) continue;
    // It hears of jobs that end after their term, too.
    if (Reflect.hasOwnMetadata(WORKER_EVENTS, method)) continue;
    Object.defineProperty(prototype, key, gateMethod(prototype, key, descriptor, options));
  }
  if (isWorkerHost(prototype)) gateProcess(prototype, options);
}

/** A worker's handler, which is known by its name alone; an inherited one, too. */
function gateProcess(prototype: object, options: OnlyWhenLeaderOptions): void {
  const value: unknown = Reflect.get(prototype, 'process');
  if (typeof value !== 'function' || isGated(value)) return;
  const descriptor = { value, writable: true, enumerable: false, configurable: true };
  Object.defineProperty(prototype, 'process', gateMethod(prototype, 'process', descriptor, options));
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
  descriptor.value = gate(method, {
    election,
    otherwise,
    leaderKey,
    isAsync: isAsync(prototype, key, method),
  });
  return descriptor;
}

const AsyncFunction = (async () => Promise.resolve()).constructor;

function isAsync(prototype: object, key: string | symbol, method: Method): boolean {
  return (
    method instanceof AsyncFunction || Reflect.getMetadata('design:returntype', prototype, key) === Promise
  );
}
