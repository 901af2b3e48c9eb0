/** Methods that are called when leadership changes, in the manner of Nest's own lifecycle hooks. */
import 'reflect-metadata';
import type { LeadershipTerm, TermEndReason } from '../../election/index.js';
import { injectLeaderFor } from '../gate/leader-key.js';
import { DEFAULT_ELECTION } from '../tokens.js';

/** What a hook is called on. */
export type HookEvent = 'startedLeading' | 'stoppedLeading' | 'newLeader';

/** A method's wish to be called. */
export interface Hook {
  readonly event: HookEvent;
  readonly election: string;
}

const HOOKS = Symbol('nestjs-leader: hooks');

/** Of which election. */
export interface LeadershipHookOptions {
  /** Default: the default one. */
  readonly election?: string | undefined;
}

/** A decorator for methods with these parameters, or fewer. */
type HookDecorator<A extends unknown[]> = <T extends (...args: A) => unknown>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<T>,
) => void;

/**
 * Calls the method with the term whenever this process begins to lead. The call is work of the term: `currentTerm()`
 * works in it, and a hand-over tells it to stop and waits for its promise. What it throws is logged as
 * `LEADER_LISTENER_FAILED`, unless it is the error of its own term; the term goes on.
 *
 * On methods of providers and controllers, inherited ones included; never on request-scoped ones. In order of modules,
 * then of classes and methods; an async one does not hold up the next.
 */
export function OnStartedLeading(options?: LeadershipHookOptions): HookDecorator<[term: LeadershipTerm]> {
  return hook('OnStartedLeading', 'startedLeading', options);
}

/**
 * Calls the method with the reason and the term whenever a term has ended: its signal has fired before. After a hand-over
 * its work has ended, after a loss it may still run. Otherwise as {@link OnStartedLeading}, outside any term: a shutdown waits
 * for its promise up to `drainTimeout`, and what takes longer is logged.
 */
export function OnStoppedLeading(
  options?: LeadershipHookOptions,
): HookDecorator<[reason: TermEndReason, term: LeadershipTerm]> {
  return hook('OnStoppedLeading', 'stoppedLeading', options);
}

/**
 * Calls the method with the new holder's name whenever another one is seen in the lease, this process included; `''`
 * when there is none. Otherwise as {@link OnStoppedLeading}.
 */
export function OnNewLeader(options?: LeadershipHookOptions): HookDecorator<[identity: string]> {
  return hook('OnNewLeader', 'newLeader', options);
}

/** The hooks on that method, inherited ones included. */
export function hooksOn(prototype: object, key: string): readonly Hook[] {
  return (Reflect.getMetadata(HOOKS, prototype, key) as readonly Hook[] | undefined) ?? [];
}

function hook<A extends unknown[]>(
  decorator: string,
  event: HookEvent,
  { election = DEFAULT_ELECTION }: LeadershipHookOptions = {},
): HookDecorator<A> {
  return (target, key) => {
    // A missing or misspelt election fails at boot, not by silence.
    injectLeaderFor(decorator, { prototype: target, method: key }, election);
    const own = (Reflect.getOwnMetadata(HOOKS, target, key) as readonly Hook[] | undefined) ?? [];
    // By prototype and name: other decorators may put another function in the method's place.
    Reflect.defineMetadata(HOOKS, [...own, { event, election }], target, key);
  };
}
