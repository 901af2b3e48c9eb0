/** How the server is told to misbehave. */
import { DURATION, refuseInvalid, type OptionRule } from '../../election/index.js';
import type { LeaseVerb } from './api-request.js';

/** Which requests a fault is for: those that match everything given. Nothing given: every request. */
export interface FaultFilter {
  readonly verb?: LeaseVerb | readonly LeaseVerb[];
  readonly namespace?: string;
  /** Of the Lease. */
  readonly name?: string;
  readonly user?: string;
  readonly token?: string;
}

/** An answer in place of the right one. */
export interface FaultAnswer {
  /** 429 is answered as an overloaded server does, in plain text. 410 to a watch is an ERROR event over 200. */
  readonly answer: 401 | 403 | 409 | 410 | 429 | 500 | 503 | 504;
  /** Sent as Retry-After. Default: 1 with 429 and 503, none with others. */
  readonly retryAfterSeconds?: number;
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
  readonly when?: FaultFilter;
  /** To how many requests it happens. Default: to all until it is removed. */
  readonly times?: number;
  readonly do: FaultAction;
}

/** A fault that is. */
export interface Fault {
  /** How often it has happened. */
  readonly happened: number;
  /** Ends it; what already waits or hangs because of it still does. */
  remove(): void;
  /** Resolves when it has happened that often, counted from its beginning. Default: once. */
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

const numbers = {
  times: [
    (value) => Number.isSafeInteger(value) && (value as number) > 0,
    'it must be a whole number above 0',
  ],
  delayRequestMs: DURATION,
  delayReplyMs: DURATION,
  retryAfterSeconds: [DURATION[0], 'it must be a number of seconds, 0 or more'],
} satisfies Record<string, OptionRule>;

function refuseOtherNumbers({ times, do: action }: FaultSpec): void {
  const given: Readonly<Record<string, unknown>> = typeof action === 'object' ? { ...action } : {};
  const { delayRequestMs, delayReplyMs, retryAfterSeconds } = given;
  refuseInvalid('The fault', { times, delayRequestMs, delayReplyMs, retryAfterSeconds }, numbers);
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
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` for a number that is none.
   */
  add(spec: FaultSpec): Fault {
    refuseOtherNumbers(spec);
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

/** Whether everything the filter names is so. */
export function matches(filter: FaultFilter, subject: FaultSubject): boolean {
  const { verb, ...rest } = filter;
  const verbs = typeof verb === 'string' ? [verb] : verb;
  if (verbs !== undefined && !verbs.some((each) => each === subject.verb)) return false;
  return (Object.keys(rest) as (keyof typeof rest)[]).every(
    (name) => rest[name] === undefined || rest[name] === subject[name],
  );
}
