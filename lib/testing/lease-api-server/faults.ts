/** How the server is told to misbehave. */
import { InvalidOptionsError, fieldsOf, isDuration, show } from '../../election/index.js';
import type { LeaseVerb } from './api-request.js';
import { MAX_TIMER_MS } from './numbers.js';

/** Which requests a fault is for: those that match everything given. Nothing given: every request. */
export interface FaultFilter {
  readonly verb?: LeaseVerb | readonly LeaseVerb[] | undefined;
  readonly namespace?: string | undefined;
  /** Of the Lease. */
  readonly name?: string | undefined;
  readonly user?: string | undefined;
  readonly token?: string | undefined;
}

/** An answer in place of the right one. */
export interface FaultAnswer {
  /** 429 is answered as an overloaded server does, in plain text. 410 to a watch is an ERROR event over 200. */
  readonly answer: 401 | 403 | 409 | 410 | 429 | 500 | 503 | 504;
  /** Sent as Retry-After. Default: 1 with 429 and 503, none with others. */
  readonly retryAfterSeconds?: number | undefined;
}

/**
 * What happens to a request.
 *
 * - `dropRequest`: the connection is cut, nothing is carried out.
 * - `dropReply`: it is carried out, then the connection is cut.
 * - `hangRequest`: it is neither carried out nor answered; the connection stays.
 * - `hangReply`: it is carried out and never answered; the connection stays.
 * - `delayRequestMs`: it is carried out that much later, also when the client has given up by then.
 * - `delayReplyMs`: it is carried out at once and answered that much later.
 * - `answer`: it is answered so, and not carried out.
 */
export type FaultAction =
  | 'dropRequest'
  | 'dropReply'
  | 'hangRequest'
  | 'hangReply'
  | { readonly delayRequestMs: number }
  | { readonly delayReplyMs: number }
  | FaultAnswer;

/** A fault to be. */
export interface FaultSpec {
  /** Default: every request. */
  readonly when?: FaultFilter | undefined;
  /** To how many requests it happens. Default: to all until it is removed. */
  readonly times?: number | undefined;
  /** Delays take up to 2,147,483,647 ms. */
  readonly do: FaultAction;
}

/** A fault that is. */
export interface Fault {
  /** How often it has happened. */
  readonly happened: number;
  /** Ends it; what already waits or hangs because of it still does. */
  remove(): void;
  /**
   * Resolves when it has happened that often, counted from its beginning. Default: once.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`
   */
  whenHappened(times?: number): Promise<void>;
}

/** What a filter looks at. */
export interface FaultSubject {
  readonly verb: LeaseVerb | undefined;
  readonly namespace: string;
  readonly name: string;
  readonly user: string;
  readonly token: string | undefined;
}

/** What the faults do to a running server. */
export interface FaultyServer {
  /** Lets watches tell what they were kept from telling. */
  proceedWatches(): void;
  endWatches(filter: FaultFilter): void;
  expireWatches(filter: FaultFilter): void;
  cutConnections(filter: FaultFilter): void;
  expireResourceVersions(): void;
}

/** The fault controls of a server. */
export class Faults {
  readonly #server: FaultyServer;
  readonly #requestFaults = new Set<ActiveFault>();
  readonly #stalls = new Set<FaultFilter>();

  /** @internal */
  constructor(server: FaultyServer) {
    this.#server = server;
  }

  /**
   * Adds a fault. When several match a request, the one added first happens.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`
   */
  add(spec: FaultSpec): Fault {
    refuseInvalidFault(spec);
    const fault = new ActiveFault(spec, () => this.#requestFaults.delete(fault));
    this.#requestFaults.add(fault);
    return fault;
  }

  /** Keeps watches open and silent, those that are open and those to come. Removed, they tell what they missed. */
  stallWatches(when: FaultFilter = {}): { remove(): void } {
    // A filter of its own for each call, so that removing one leaves an equal one.
    const filter = { ...when };
    this.#stalls.add(filter);
    return {
      remove: () => {
        this.#stalls.delete(filter);
        this.#server.proceedWatches();
      },
    };
  }

  /** Ends the open watches, as their time-out would. */
  endWatches(when: FaultFilter = {}): void {
    this.#server.endWatches(when);
  }

  /** Ends the open watches with the ERROR event of a version that is too old (410). */
  expireWatches(when: FaultFilter = {}): void {
    this.#server.expireWatches(when);
  }

  /** Cuts the connections that are open, by user or token of their latest request if given. */
  cutConnections(when: Pick<FaultFilter, 'user' | 'token'> = {}): void {
    this.#server.cutConnections(when);
  }

  /** From now on every resourceVersion given out so far is too old to begin a watch, as after a restart. */
  expireResourceVersions(): void {
    this.#server.expireResourceVersions();
  }

  /** Removes every fault. */
  clear(): void {
    this.#requestFaults.clear();
    this.#stalls.clear();
    this.#server.proceedWatches();
  }

  /** @internal The fault that is to happen to this request. */
  take(subject: FaultSubject): TakenFault | undefined {
    for (const fault of this.#requestFaults) {
      if (matches(fault.spec.when ?? {}, subject)) return fault.take();
    }
    return undefined;
  }

  /** @internal */
  stalls(subject: FaultSubject): boolean {
    return [...this.#stalls].some((filter) => matches(filter, subject));
  }
}

/** One happening of a fault. */
export interface TakenFault {
  readonly action: FaultAction;
  /** It has happened: nothing was carried out, or all that was to be. */
  readonly done: () => void;
}

class ActiveFault implements Fault {
  readonly spec: FaultSpec;
  readonly #end: () => void;
  #waiting: { readonly times: number; readonly resolve: () => void }[] = [];
  #taken = 0;
  happened = 0;

  constructor(spec: FaultSpec, end: () => void) {
    this.spec = spec;
    this.#end = end;
  }

  take(): TakenFault {
    this.#taken += 1;
    if (this.#taken >= (this.spec.times ?? Number.POSITIVE_INFINITY)) this.#end();
    return {
      action: this.spec.do,
      done: () => {
        this.#happen();
      },
    };
  }

  remove(): void {
    this.#end();
  }

  whenHappened(times = 1): Promise<void> {
    refuse(timesViolations(times), 'What was given to whenHappened()');
    if (this.happened >= times) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ times, resolve });
    });
  }

  #happen(): void {
    this.happened += 1;
    const reached = this.#waiting.filter(({ times }) => times <= this.happened);
    this.#waiting = this.#waiting.filter(({ times }) => times > this.happened);
    for (const { resolve } of reached) resolve();
  }
}

function refuseInvalidFault({ times, do: action }: FaultSpec): void {
  refuse(
    [...(times === undefined ? [] : timesViolations(times)), ...actionViolations(action)],
    'What was given to faults.add()',
  );
}

function refuse(violations: readonly string[], whose: string): void {
  if (violations.length > 0) throw new InvalidOptionsError(violations, whose);
}

function timesViolations(times: number): string[] {
  if (times === Number.POSITIVE_INFINITY || (Number.isInteger(times) && times >= 1)) return [];
  return [`times is ${show(times)}: it must be a whole number, 1 or more`];
}

const wordActions: readonly unknown[] = ['dropRequest', 'dropReply', 'hangRequest', 'hangReply'];
const answers: readonly unknown[] = [401, 403, 409, 410, 429, 500, 503, 504];

interface ValueRule {
  readonly allows: (value: unknown) => boolean;
  readonly text: string;
}

const delayRule: ValueRule = {
  allows: (value) => isDuration(value) && value <= MAX_TIMER_MS,
  text: `it must be a number of milliseconds from 0 to ${String(MAX_TIMER_MS)}`,
};
const valueRules = new Map<string, ValueRule>([
  ['delayRequestMs', delayRule],
  ['delayReplyMs', delayRule],
  ['answer', { allows: (value) => answers.includes(value), text: `it must be one of ${answers.join(', ')}` }],
  [
    'retryAfterSeconds',
    {
      allows: (value) => value === undefined || (Number.isSafeInteger(value) && Number(value) >= 0),
      text: 'it must be a whole number, 0 or more',
    },
  ],
]);

/** Callers without types can give anything. */
function actionViolations(action: FaultAction): string[] {
  if (wordActions.includes(action)) return [];
  const fields = Object.entries(fieldsOf(action) ?? {});
  if (!fields.some(([name]) => name !== 'retryAfterSeconds' && valueRules.has(name))) {
    const objects = 'an object with delayRequestMs, delayReplyMs or answer';
    return [`do is ${show(action)}: it must be one of ${wordActions.join(', ')}, or ${objects}`];
  }
  return fields.flatMap(([name, value]) => {
    const rule = valueRules.get(name);
    return rule === undefined || rule.allows(value) ? [] : [`${name} is ${show(value)}: ${rule.text}`];
  });
}

/** Whether everything the filter names is so. */
export function matches(filter: FaultFilter, subject: FaultSubject): boolean {
  const { verb, ...rest } = filter;
  const verbs = typeof verb === 'string' ? [verb] : verb;
  if (verbs !== undefined && !verbs.some((each) => each === subject.verb)) return false;
  return (Object.keys(rest) as (keyof typeof rest)[]).every(
    (name) => rest[name] === undefined || rest[name] === subject[name],
  );
}
