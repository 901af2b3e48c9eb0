import 'reflect-metadata';
import {
  DEFAULT_ELECTION,
  TEXT,
  refuseInvalid,
  type LeadershipTerm,
  type OptionRule,
  type TermEndReason,
} from '../../election/internal.js';
import { injectLeaderFor } from '../gate/leader-key.js';

/** The event at which a hook is called. */
export type HookEvent = 'startedLeading' | 'stoppedLeading' | 'newLeader';

/** A hook on a method, as its decorator stores it. */
export interface Hook {
  readonly event: HookEvent;
  readonly election: string;
  readonly onError: OnHookError;
}

/** What follows when a hook fails, besides the log. */
type OnHookError = 'log' | 'stepDown';

const HOOKS = Symbol('nestjs-leader: hooks');

/** Options of a hook. */
export interface LeadershipHookOptions {
  /** The name of the election. Default: the default election. */
  readonly election?: string | undefined;
}

/** Options of `@OnStartedLeading()`. */
export interface StartedLeadingOptions extends LeadershipHookOptions {
  /**
   * `'stepDown'`: when the method throws or rejects, the term is handed over, so that another replica may do better. This process does
   * not campaign for `retryPeriod`; if nobody else leads then, it leads again, and the method is called again. Default `'log'`: the
   * error is logged, and the term goes on.
   */
  readonly onError?: OnHookError | undefined;
}

/** A decorator for methods with these parameters or fewer. */
type HookDecorator<A extends unknown[]> = <T extends (...args: A) => unknown>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<T>,
) => void;

/**
 * Calls the method with the term whenever this process begins to lead. The call is work of the term: `currentTerm()` works in
 * it, and a hand-over aborts the term's signal and waits for the promise of the method. An error is logged as
 * `LEADER_LISTENER_FAILED`, unless it is the error of its own term; the term goes on, or is handed over (`onError: 'stepDown'`).
 *
 * For methods of providers and controllers, also inherited ones, but not of request-scoped ones. They are called in the order of
 * modules, then of classes and methods. An async method does not delay the next one.
 */
export function OnStartedLeading(options?: StartedLeadingOptions): HookDecorator<[term: LeadershipTerm]> {
  return hook('OnStartedLeading', 'startedLeading', options);
}

/**
 * Calls the method with the reason and the term whenever a term has ended. Its signal has fired before. After a hand-over its work
 * has ended; after a loss it may still run. Otherwise as {@link OnStartedLeading}, but outside any term: a shutdown waits for the
 * promise of the method up to `drainTimeout`, and a method that takes longer is logged.
 */
export function OnStoppedLeading(
  options?: LeadershipHookOptions,
): HookDecorator<[reason: TermEndReason, term: LeadershipTerm]> {
  return hook('OnStoppedLeading', 'stoppedLeading', options);
}

/**
 * Calls the method with the identity of the leader whenever that changes, also to this process; `''` if there is none. Otherwise
 * as {@link OnStoppedLeading}.
 */
export function OnNewLeader(options?: LeadershipHookOptions): HookDecorator<[identity: string]> {
  return hook('OnNewLeader', 'newLeader', options);
}

/** The hooks on a method, also inherited ones. */
export function hooksOn(prototype: object, key: string): readonly Hook[] {
  return (Reflect.getMetadata(HOOKS, prototype, key) as readonly Hook[] | undefined) ?? [];
}

function hook<A extends unknown[]>(
  decorator: string,
  event: HookEvent,
  options: StartedLeadingOptions = {},
): HookDecorator<A> {
  const onError = event === 'startedLeading' ? { onError: ON_ERROR } : {};
  refuseInvalid(`The options of @${decorator}()`, options, { election: TEXT, ...onError });
  const given = { event, election: options.election ?? DEFAULT_ELECTION, onError: options.onError ?? 'log' };
  return (target, key) => {
    // So that the start fails if the election is missing or misspelt.
    injectLeaderFor(decorator, { prototype: target, method: key }, given.election);
    const own = (Reflect.getOwnMetadata(HOOKS, target, key) as readonly Hook[] | undefined) ?? [];
    // By prototype and name, because other decorators may replace the function.
    Reflect.defineMetadata(HOOKS, [...own, given], target, key);
  };
}

const ON_ERROR: OptionRule = [
  (value) => value === 'log' || value === 'stepDown',
  "it must be 'log' or 'stepDown'",
];
