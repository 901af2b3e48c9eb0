/**
 * Puts the gate before a method: it runs while this process leads, as part of a term, and otherwise does what its kind
 * of handler asks for. No call starts outside a term (design.md §1, G5).
 */
import 'reflect-metadata';
import {
  LeaderError,
  NotLeaderError,
  currentTerm,
  isTermOver,
  runInTerm,
  type Disposer,
  type LeadershipTerm,
  type TermOverError,
} from '../../election/index.js';
import { gateResult } from './gated-result.js';
import { kindOfHandler, type HandlerKind } from './handler-kind.js';
import type { LeaderService } from '../leader.service.js';
import { otherLeader } from './other-leader.js';
import { interrupted, refuse, settle, type Otherwise } from './refusal.js';
import { enterTerm } from './term-entry.js';

/** A method of a class that Nest makes. */
export type Method = (this: unknown, ...args: unknown[]) => unknown;

/** What a gate is made with. */
export interface GateSettings {
  readonly election: string;
  readonly otherwise: Otherwise | undefined;
  /** Where an instance finds its LeaderService. */
  readonly leaderKey: symbol;
  readonly isAsync: boolean;
  /** What stands in the method's place on its class, when all decorators have done their part. */
  readonly outermost: () => unknown;
}

const BEGUN = { type: 'call', outcome: 'run' } as const;

const gatedMethods = new WeakSet<object>();

/** Whether a function is a gate already. */
export function isGated(method: object): boolean {
  return gatedMethods.has(method);
}

/** The gate before `method`, with all its metadata. */
export function gate(method: Method, settings: GateSettings): Method {
  const { election, leaderKey } = settings;

  const kindOf = (instance: unknown): HandlerKind => kindOfHandler(gated, instance, settings.outermost());

  const gated: Method = function (this: unknown, ...args) {
    const leader = (this as Record<symbol, LeaderService | undefined> | undefined)?.[leaderKey];
    if (leader === undefined) return settle(settings.isAsync, () => withoutNest(this, args));
    const term = leader.lastTerm;
    const leave = term === undefined ? undefined : enterTerm(term);
    if (term === undefined || leave === undefined) return refused(this, args, leader);
    const failed = (error: unknown): unknown => {
      if (!isTermOver(error, term)) throw error;
      const over = term.signal.reason as TermOverError;
      return interrupted({ kind: kindOf(this), error: over, leader }, error);
    };
    // As `run` does; one call less on the way that is taken often.
    leader.measure?.(BEGUN);
    let result: unknown;
    try {
      result = runInTerm(election, term, () => method.apply(this, args));
    } catch (error) {
      leave();
      return failed(error);
    }
    return gateResult(result, { election, term, leave, failed });
  };

  const run = (instance: unknown, args: unknown[], term: LeadershipTerm, leave: Disposer): unknown => {
    let result: unknown;
    try {
      result = runInTerm(election, term, () => method.apply(instance, args));
    } catch (error) {
      leave();
      throw error;
    }
    return gateResult(result, { election, term, leave, failed: rethrow });
  };

  const withoutNest = (instance: unknown, args: unknown[]): unknown => {
    const term = termWithoutNest(settings, method.name);
    const leave = enterTerm(term);
    if (leave === undefined) throw new NotLeaderError(term.leaseName, '');
    return run(instance, args, term, leave);
  };

  const refused = (instance: unknown, args: unknown[], leader: LeaderService): unknown => {
    return refuse({
      kind: kindOf(instance),
      otherwise: settings.otherwise,
      leader,
      isAsync: settings.isAsync,
      call: {
        leader: otherLeader(leader),
        identity: leader.identity,
        election,
        method: method.name,
        instance,
        args,
      },
      again: () => gated.apply(instance, args),
    });
  };

  disguise(gated, method);
  gatedMethods.add(gated);
  return gated;
}

function rethrow(error: unknown): never {
  throw error;
}

/** An instance that Nest did not make may still be called in a term: in a unit test, or by gated work. */
function termWithoutNest({ election }: GateSettings, method: string): LeadershipTerm {
  try {
    return currentTerm(election);
  } catch (cause) {
    throw moduleMissing(election, method, cause);
  }
}

function moduleMissing(election: string, method: string, cause?: unknown): LeaderError {
  return new LeaderError(
    'LEADER_MODULE_MISSING',
    `${method}() is under @OnlyWhenLeader(), but its instance is no provider of an application with the election ` +
      `'${election}': it was made with new, by a factory for each request, or is frozen. Make it a provider, or call it ` +
      `inside runAsLeader(); in a unit test, inside runInFakeTerm().`,
    cause === undefined ? undefined : { cause },
  );
}

/** Nest's packages keep what they know of a handler on the function: name, arity and every piece of metadata. */
export function disguise(wrapper: Method, method: Method): void {
  for (const key of Reflect.getOwnMetadataKeys(method) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, method), wrapper);
  }
  Object.defineProperty(wrapper, 'name', { value: method.name, configurable: true });
  Object.defineProperty(wrapper, 'length', { value: method.length, configurable: true });
}
