import 'reflect-metadata';
import { Inject, Injectable, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { GUARDS_METADATA } from '@nestjs/common/constants.js';
import { ModuleRef } from '@nestjs/core';
import {
  DEFAULT_ELECTION,
  InvalidOptionsError,
  LeaderError,
  NotLeaderError,
  currentTerm,
  fakedTerm,
  show,
} from '../../election/internal.js';
import { handleOf, leaderReplaced, type LeaderHandle } from '../leader-handle.js';
import { ELECTION_NAME, getLeaderToken } from '../tokens.js';
import { NotLeadingException, SkippedEvent, fail, leaderToTell } from './failure.js';
import { kindOfCall } from './handler-kind.js';
import { injectLeaderFor } from './leader-key.js';
import { warnOfLostEvent } from './lost-events.js';
import { setRetryAfter } from './nest-calls.js';

/** Metadata of a class or of a handler: the elections that it requires. A symbol of the whole process, for several copies of this package. */
const REQUIRED = Symbol.for('nestjs-leader.required-elections');

/**
 * Refuses a call while this process does not lead, before interceptors and pipes run, in the form of its transport: a route answers 503 with
 * the leader's name and Retry-After, a message, a socket or a resolver gets an error with the code `NOT_LEADER`, gRPC the status UNAVAILABLE. An
 * event of `@EventPattern` is skipped.
 *
 * `@UseGuards(LeaderGuard)` asks the default election, or that of `@RequireLeader()`. As a global guard (`APP_GUARD`) it lets pass what neither
 * decorator marks.
 *
 * It looks at the beginning of a call only: the term may end while the handler runs, which is then not told, and a hand-over does not wait
 * for it. `@OnlyWhenLeader()` does that, and both may stand on one method. Nest calls no guards for jobs of a scheduler, listeners of
 * `@OnEvent()`, processors of queues and handlers of CQRS: the start fails if one of them is under this guard without a gate.
 */
@Injectable()
export class LeaderGuard implements CanActivate {
  readonly #modules: ModuleRef;

  constructor(@Inject(ModuleRef) modules: ModuleRef) {
    this.#modules = modules;
  }

  /** @internal @throws LeaderError `LEADER_MODULE_MISSING` in an application without any election. */
  onModuleInit(): void {
    try {
      this.#modules.get(ELECTION_NAME, { strict: false });
    } catch (cause) {
      throw new LeaderError(
        'LEADER_MODULE_MISSING',
        'LeaderGuard is in use, but the application has no election. Import LeaderElectionModule.forRoot({ … }) in the root ' +
          'module; in a test, LeaderElectionTestingModule.forRoot().',
        { cause },
      );
    }
  }

  canActivate(context: ExecutionContext): boolean {
    for (const election of electionsRequiredBy(context.getHandler(), context.getClass())) {
      const leader = this.#followerOf(election, context);
      if (leader !== undefined) refuseAtEntry(leader, context);
    }
    return true;
  }

  /** The election's handle if this process does not lead. */
  #followerOf(election: string, context: ExecutionContext): LeaderHandle | undefined {
    if (fakedTerm(election) !== undefined) return undefined;
    const leader = handleOf(this.#modules.get(getLeaderToken(election), { strict: false }));
    if (leader !== undefined) return leader.term === undefined ? leader : undefined;
    try {
      currentTerm(election);
      return undefined;
    } catch (cause) {
      const asked = `${context.getClass().name}.${context.getHandler().name}() is under LeaderGuard`;
      throw leaderReplaced(election, asked, { cause });
    }
  }
}

/**
 * Refuses the calls of a handler, or of all handlers of a class, while this process does not lead an election: `@UseGuards(LeaderGuard)` for that
 * election. On a method it counts instead of that on its class; several on one method are all required.
 *
 * @param election the name of the election. Default: the default election. The start fails if there is no election of that name.
 */
export function RequireLeader(election: string = DEFAULT_ELECTION): MethodDecorator & ClassDecorator {
  if (typeof election !== 'string' || election.trim() === '')
    throw new InvalidOptionsError(
      [`the election is ${show(election)}: it must be a name, @RequireLeader('billing')`],
      'The arguments of @RequireLeader()',
    );
  const decorate = (target: object, key?: string | symbol, descriptor?: PropertyDescriptor): void => {
    const prototype = key === undefined ? (target as { prototype: object }).prototype : target;
    const marked: unknown = key === undefined ? target : descriptor?.value;
    if (typeof marked !== 'function')
      throw new TypeError(`@RequireLeader() cannot decorate '${String(key)}': it is not a method.`);
    injectLeaderFor('RequireLeader', { prototype, method: key ?? marked.name }, election);
    const others = (Reflect.getOwnMetadata(REQUIRED, marked) ?? []) as readonly string[];
    Reflect.defineMetadata(REQUIRED, [...others, election], marked);
    if (others.length === 0) UseGuards(LeaderGuard)(target as never, key as never, descriptor as never);
  };
  return decorate;
}

/** The elections that the calls of a handler require by a LeaderGuard: its own, or those of its class. */
export function electionsRequiredBy(handler: object, type: object): readonly string[] {
  const own = Reflect.getOwnMetadata(REQUIRED, handler) as readonly string[] | undefined;
  const required = own ?? (Reflect.getMetadata(REQUIRED, type) as readonly string[] | undefined);
  return required ?? (isGuarded(handler) || isGuarded(type) ? [DEFAULT_ELECTION] : []);
}

function isGuarded(target: object): boolean {
  const guards = (Reflect.getMetadata(GUARDS_METADATA, target) ?? []) as readonly unknown[];
  return guards.some(
    (guard) =>
      guard instanceof LeaderGuard ||
      guard === LeaderGuard ||
      (typeof guard === 'function' && guard.prototype instanceof LeaderGuard),
  );
}

/** Throws what the gate throws for this kind of handler. */
function refuseAtEntry(leader: LeaderHandle, context: ExecutionContext): never {
  const handler = context.getHandler();
  const owner = context.getClass();
  const type = context.getType<string>();
  const call = { gated: handler, outermost: handler, method: handler.name, owner, args: context.getArgs() };
  const kind = kindOfCall({ ...call, context: type });
  const error = new NotLeaderError(leader.leaseName, leaderToTell(leader));
  if (kind.kind === 'eventPattern') {
    warnOfLostEvent(context);
    leader.measure?.({ type: 'call', outcome: 'skipped' });
    throw new SkippedEvent(error);
  }
  leader.measure?.({ type: 'call', outcome: 'rejected' });
  try {
    return fail({ kind, error, leader });
  } catch (failure) {
    if (failure instanceof NotLeadingException) setRetryAfter(context, failure.retryAfter);
    throw failure;
  }
}
