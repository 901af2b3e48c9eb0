/** Faults: what the server can be made to do wrong, and the answers that it then sends. */
import {
  InvalidOptionsError,
  fieldsOf,
  isDuration,
  refuseInvalid,
  show,
  type OptionRule,
} from '../../election/internal.js';
import type { Subject } from './access.js';
import type { LeaseVerb } from './routes.js';
import {
  conflict,
  errorReply,
  failed,
  forbidden,
  textReply,
  type Reply,
  type StatusError,
} from './status.js';
import type { LeaseStore } from './store.js';
import type { Watches } from './watches.js';

/** The longest time that Node's timers can wait: 24 days. A longer one fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** The requests that a fault is for: those that match every field given here. Default: every request. */
export interface FaultFilter {
  readonly verb?: LeaseVerb | readonly LeaseVerb[] | undefined;
  readonly namespace?: string | undefined;
  /** The name of the Lease. */
  readonly name?: string | undefined;
  readonly user?: string | undefined;
  readonly token?: string | undefined;
}

/** A wrong answer. */
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
 * - `answer`: it gets this answer, and is not carried out.
 */
export type FaultAction =
  | 'dropRequest'
  | 'dropReply'
  | 'hangRequest'
  | 'hangReply'
  | { readonly delayRequestMs: number }
  | { readonly delayReplyMs: number }
  | FaultAnswer;

/** A fault to add. */
export interface FaultSpec {
  /** Default: every request. */
  readonly when?: FaultFilter | undefined;
  /** To how many requests it happens. Default: to every request, until the fault is removed. */
  readonly times?: number | undefined;
  /** What happens to a request. A delay is at most 2,147,483,647 ms. */
  readonly do: FaultAction;
}

/** A fault that was added. */
export interface Fault {
  /** How often it has happened. */
  readonly happened: number;
  /** Removes the fault. Requests that it delays or hangs stay delayed or hanging. */
  remove(): void;
  /**
   * Resolves when it has happened that often since it was added. Default: once.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`
   */
  whenHappened(times?: number): Promise<void>;
}

/** The fault controls of a server. */
export class Faults {
  readonly #requestFaults = new Set<ActiveFault>();
  readonly #stalls = new Set<FaultFilter>();

  /** @internal */
  constructor(
    private readonly watches: Pick<Watches, 'proceed' | 'end' | 'expire'>,
    private readonly store: Pick<LeaseStore, 'forget'>,
    private readonly cut: (filter: FaultFilter) => void,
  ) {}

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

  /** Keeps present and future watches open and silent. After `remove()` they send what they have missed. */
  stallWatches(when: FaultFilter = {}): { remove(): void } {
    // A copy for each call, so that removing one stall leaves an equal one in place.
    const filter = { ...when };
    this.#stalls.add(filter);
    return {
      remove: () => {
        this.#stalls.delete(filter);
        this.watches.proceed();
      },
    };
  }

  /** Ends the open watches, as their time-out would. */
  endWatches(when: FaultFilter = {}): void {
    this.watches.end(when);
  }

  /** Ends the open watches with the ERROR event of a version that is too old (410). */
  expireWatches(when: FaultFilter = {}): void {
    this.watches.expire(when);
  }

  /** Cuts the open connections: all, or those whose latest request came from this user or with this token. */
  cutConnections(when: Pick<FaultFilter, 'user' | 'token'> = {}): void {
    this.cut(when);
  }

  /** From now on every resourceVersion given out so far is too old to begin a watch, as after a restart. */
  expireResourceVersions(): void {
    this.store.forget();
  }

  /** Removes every fault. */
  clear(): void {
    this.#requestFaults.clear();
    this.#stalls.clear();
    this.watches.proceed();
  }

  /** @internal The fault that is to happen to this request. */
  take(subject: Subject): TakenFault | undefined {
    for (const fault of this.#requestFaults) {
      if (matches(fault.spec.when ?? {}, subject)) return fault.take();
    }
    return undefined;
  }

  /** @internal */
  stalls(subject: Subject): boolean {
    return [...this.#stalls].some((filter) => matches(filter, subject));
  }
}

/** A fault that happens to one request. */
export interface TakenFault {
  readonly action: FaultAction;
  /** To be called once the fault has happened. */
  readonly done: () => void;
}

class ActiveFault implements Fault {
  #waiting: { readonly times: number; readonly resolve: () => void }[] = [];
  #taken = 0;
  happened = 0;

  /** @param remove takes the fault out of those that are active. */
  constructor(
    readonly spec: FaultSpec,
    readonly remove: () => void,
  ) {}

  take(): TakenFault {
    this.#taken += 1;
    if (this.#taken >= (this.spec.times ?? Number.POSITIVE_INFINITY)) this.remove();
    return { action: this.spec.do, done: this.#happen };
  }

  whenHappened(times = 1): Promise<void> {
    refuseInvalid('What was given to whenHappened()', { times }, { times: TIMES });
    if (this.happened >= times) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ times, resolve });
    });
  }

  readonly #happen = (): void => {
    this.happened += 1;
    for (const { times, resolve } of this.#waiting) {
      if (times <= this.happened) resolve();
    }
    this.#waiting = this.#waiting.filter(({ times }) => times > this.happened);
  };
}

const TIMES: OptionRule = [
  (value) => value === Number.POSITIVE_INFINITY || (Number.isInteger(value) && Number(value) >= 1),
  'it must be a whole number, 1 or more',
];
const DELAY: OptionRule = [
  (value) => isDuration(value) && value <= MAX_TIMER_MS,
  `it must be a number of milliseconds from 0 to ${String(MAX_TIMER_MS)}`,
];
const answers: readonly unknown[] = [401, 403, 409, 410, 429, 500, 503, 504];
const actionRules: Readonly<Record<string, OptionRule>> = {
  delayRequestMs: DELAY,
  delayReplyMs: DELAY,
  answer: [(value) => answers.includes(value), `it must be one of ${answers.join(', ')}`],
  retryAfterSeconds: [
    (value) => Number.isSafeInteger(value) && Number(value) >= 0,
    'it must be a whole number, 0 or more',
  ],
};
const wordActions: readonly unknown[] = ['dropRequest', 'dropReply', 'hangRequest', 'hangReply'];

/** @throws InvalidOptionsError Callers without types can give anything. */
function refuseInvalidFault({ times, do: action }: FaultSpec): void {
  const whose = 'What was given to faults.add()';
  refuseInvalid(whose, { times }, { times: TIMES });
  if (wordActions.includes(action)) return;
  const { delayRequestMs, delayReplyMs, answer } = fieldsOf(action) ?? {};
  if ([delayRequestMs, delayReplyMs, answer].every((value) => value === undefined)) {
    const rule = `it must be one of ${wordActions.join(', ')}, or an object with delayRequestMs, delayReplyMs or answer`;
    throw new InvalidOptionsError([`do is ${show(action)}: ${rule}`], whose);
  }
  refuseInvalid(whose, action, actionRules);
}

/** Whether the request has everything that the filter names. */
export function matches(filter: FaultFilter, subject: Subject): boolean {
  const { verb, ...rest } = filter;
  const verbs = typeof verb === 'string' ? [verb] : verb;
  if (verbs !== undefined && !verbs.some((each) => each === subject.verb)) return false;
  return (Object.keys(rest) as (keyof typeof rest)[]).every(
    (name) => rest[name] === undefined || rest[name] === subject[name],
  );
}

/** The wrong answer that a fault asks for, in the API server's form. */
export function falseAnswer({ answer, retryAfterSeconds }: FaultAnswer, subject: Subject): Reply {
  const seconds = retryAfterSeconds ?? (answer === 429 || answer === 503 ? 1 : undefined);
  const reply =
    answer === 429
      ? textReply(429, 'Too many requests, please try again later.\n')
      : errorReply(falseError(answer, subject));
  return {
    ...reply,
    headers: { ...reply.headers, ...(seconds !== undefined && { 'Retry-After': String(seconds) }) },
  };
}

function falseError(answer: Exclude<FaultAnswer['answer'], 429>, subject: Subject): StatusError {
  if (answer === 403) return forbidden({ ...subject, verb: subject.verb ?? 'get' });
  if (answer === 409) return conflict(subject.name);
  const messages = {
    401: 'Unauthorized',
    410: 'too old resource version: 1 (2)',
    500: 'Internal error occurred: etcdserver: request timed out',
    503: 'apiserver is shutting down',
    504: 'Timeout: request did not complete within requested timeout',
  };
  return failed(answer, messages[answer], undefined, answer === 500 ? 'InternalError' : undefined);
}
