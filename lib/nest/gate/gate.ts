import 'reflect-metadata';
import {
  LeaderError,
  NotLeaderError,
  currentTerm,
  fakedTerm,
  isTermOver,
  type LeadershipTerm,
} from '../../election/internal.js';
import { searchAgain } from '../election.explorer.js';
import { handleOf, leaderReplaced, type LeaderHandle } from '../leader-handle.js';
import { otherLeader } from './failure.js';
import { errorOfOver } from './gated-iteration.js';
import { enterTerm, runGated } from './gated-result.js';
import { kindNamed, kindOfCall, type KindOfHandler } from './handler-kind.js';
import { contextOfCall } from './nest-calls.js';
import { answerInterrupted, refuse, settle, type Otherwise } from './refusal.js';
import { traced } from './traced-call.js';

/** A method of a class that Nest creates. */
export type Method = (this: unknown, ...args: unknown[]) => unknown;

/** The parts of a gate. */
export interface GateSettings {
  readonly election: string;
  readonly otherwise: Otherwise | undefined;
  /** The name of the kind that all calls have; undefined if the call decides. */
  readonly kind: string | undefined;
  /** The property in which an instance has its LeaderService. */
  readonly leaderKey: symbol;
  /** The name of the method. */
  readonly key: string | symbol;
  readonly isAsync: boolean;
  /** Whether this gate is the innermost of the method. */
  readonly isInnermost: boolean;
  /** The outermost gate of the method: this gate, or that of another election. */
  readonly outermostGate: () => Method;
  /** The function on the class after all decorators have run. */
  readonly outermost: () => unknown;
}

const BEGUN = { type: 'call', outcome: 'run' } as const;

const gatedMethods = new WeakMap<object, GateSettings>();

/** Whether a function is a gate. */
export function isGated(method: object): boolean {
  return gatedMethods.has(method);
}

/** The parts of a gate; undefined for other functions. */
export function settingsOf(method: object | undefined): GateSettings | undefined {
  return method && gatedMethods.get(method);
}

/**
 * Creates the gate of a method, with all metadata of the method. The method runs while this process leads, as work of a term;
 * otherwise the gate does what the kind of handler requires. No call starts outside a term (guarantee G5).
 */
export function gate(method: Method, settings: GateSettings): Method {
  const { election, leaderKey, key } = settings;
  /** The `@Timeout` calls that wait, by instance. */
  const deferred = new WeakMap<object, Promise<unknown>>();

  const kindOf = ({ instance, args, context }: Call): KindOfHandler => {
    if (settings.kind !== undefined) return kindNamed(settings.kind);
    const owner = (instance as object | null | undefined)?.constructor;
    return kindOfCall({ owner, args, context, gated, outermost: settings.outermost(), method: key });
  };

  const gated: Method = function (this: unknown, ...args) {
    const faked = fakedTerm(election);
    const service = leaderIn(this, leaderKey);
    const leader = handleOf(service);
    const work = (): unknown => method.apply(this, args);
    if (faked !== undefined || leader === undefined) {
      const call = { work, method: method.name, service, faked };
      return settle(settings.isAsync, () => runWithoutElection(election, call));
    }
    const context = contextOfCall(this, key, settings.isInnermost);
    const term = leader.lastTerm;
    const leave = term === undefined ? undefined : enterTerm(term);
    if (term === undefined || leave === undefined) return refused({ instance: this, args, context }, leader);
    const failed = (error: unknown): unknown => {
      if (!isTermOver(error, term)) throw error;
      const over = errorOfOver(term);
      const kind = kindOf({ instance: this, args, context });
      return answerInterrupted({ kind, error: over, leader }, { error, args });
    };
    leader.measure?.(BEGUN);
    const call = { election, term, leave, failed };
    const { tracer } = leader;
    if (tracer === undefined) return runGated(work, call);
    return runGated(traced(work, tracer.call(nameOf(this, method), term)), call);
  };

  const refused = (call: Call, leader: LeaderHandle): unknown => {
    const { instance, args } = call;
    return refuse({
      kind: kindOf(call),
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
      deferred,
      // By then the outer gates may be closed.
      again: () => settings.outermostGate().apply(instance, args),
    });
  };

  disguise(gated, method);
  gatedMethods.set(gated, settings);
  return gated;
}

/** The name of a call in a trace. */
function nameOf(instance: unknown, method: Method): string {
  const { constructor } = instance as { readonly constructor?: { readonly name?: unknown } };
  return `${String(constructor?.name)}.${method.name}`;
}

function leaderIn(instance: unknown, key: symbol): unknown {
  if (typeof instance !== 'object' || instance === null) return undefined;
  const properties = instance as Record<symbol, unknown>;
  if (!(key in properties)) searchAgain();
  return properties[key];
}

/** Runs the method in the term of a unit test, or in that of the calling work. */
function runWithoutElection(election: string, call: CallWithoutElection): unknown {
  const term = call.faked ?? termWithoutElection(election, call);
  const leave = enterTerm(term);
  if (leave === undefined) throw new NotLeaderError(term.leaseName, '');
  return runGated(call.work, { election, term, leave, failed: rethrow });
}

function rethrow(error: unknown): never {
  throw error;
}

/** One call of a gated method. */
interface Call {
  readonly instance: unknown;
  readonly args: unknown[];
  /** The context in which Nest calls it. */
  readonly context: string | undefined;
}

interface CallWithoutElection {
  readonly work: () => unknown;
  /** The name of the method. */
  readonly method: string;
  /** The value of the property for the LeaderService. */
  readonly service: unknown;
  readonly faked: LeadershipTerm | undefined;
}

/** An instance that Nest did not create may still be called in a term: in a unit test, or by gated work. */
function termWithoutElection(election: string, { method, service }: CallWithoutElection): LeadershipTerm {
  try {
    return currentTerm(election);
  } catch (cause) {
    if (service !== undefined)
      throw leaderReplaced(election, `${method}() is under @OnlyWhenLeader()`, { cause });
    throw moduleMissing(election, method, cause);
  }
}

function moduleMissing(election: string, method: string, cause: unknown): LeaderError {
  return new LeaderError(
    'LEADER_MODULE_MISSING',
    `${method}() is under @OnlyWhenLeader(), but its instance is not a provider of an application with the election ` +
      `'${election}': it was created with new or by a request-scoped factory, or it is frozen. Make it a provider, or call it ` +
      `inside runAsLeader(); in a unit test, inside runInFakeTerm().`,
    { cause },
  );
}

/** Copies what Nest's packages read from a handler: its name, its arity and all metadata. */
export function disguise(wrapper: Method, method: Method): void {
  for (const key of Reflect.getOwnMetadataKeys(method) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, method), wrapper);
  }
  Object.defineProperty(wrapper, 'name', { value: method.name, configurable: true });
  Object.defineProperty(wrapper, 'length', { value: method.length, configurable: true });
}
