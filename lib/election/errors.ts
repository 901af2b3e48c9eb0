/**
 * All errors that this package throws or reports. Distinguish them by `code`, with {@link isLeaderError}; messages are for
 * people and may change. The table below is complete.
 */
import type { TermEndReason } from './term.js';

const codes = [
  /** Options break rules; `violations` lists every broken rule. Thrown at boot. */
  'LEADER_INVALID_OPTIONS',
  /** `leaseNamespace` is not set, and cannot be determined from `POD_NAMESPACE`, the pod or a kubeconfig. Thrown at boot. */
  'LEADER_NO_NAMESPACE',
  /** The process does not run in a cluster, and no kubeconfig names one. Reported; retried. */
  'LEADER_NO_CLUSTER',
  /** The kubeconfig cannot be read or used. Reported; retried. */
  'LEADER_KUBECONFIG_INVALID',
  /** `@kubernetes/client-node` is not installed, or cannot be loaded by this Node. Thrown at boot. */
  'LEADER_CLIENT_UNUSABLE',
  /** The namespace of the lease does not exist (404). Reported; retried. */
  'LEADER_NAMESPACE_NOT_FOUND',
  /** The credentials were refused (401), also after they were read again. Reported; retried. */
  'LEADER_UNAUTHORIZED',
  /** Forbidden (403): the message has the Role rule that grants the request, or names the quota, webhook or policy that refused it. Reported; retried. */
  'LEADER_FORBIDDEN',
  /** The API server found our request invalid (400, 422). Reported; retried. */
  'LEADER_REQUEST_INVALID',
  /** The API server asked us to slow down (429). Reported; retried after Retry-After. */
  'LEADER_THROTTLED',
  /** The API server failed (5xx, or a reply that is not valid). Reported; retried. */
  'LEADER_SERVER_ERROR',
  /** The connection failed or broke. Reported; retried. */
  'LEADER_UNREACHABLE',
  /** No reply within the request's share of the deadline. Reported; retried. */
  'LEADER_REQUEST_TIMEOUT',
  /** The server reported a write as successful, but returned other values than those written. Reported; retried. */
  'LEADER_WRITE_NOT_KEPT',
  /** Several writes in a row were refused as conflicts (409), although each was based on a fresh read. Reported; retried. */
  'LEADER_WRITE_CONFLICT',
  /** No permission to watch the lease; it is polled instead. Reported once. */
  'LEADER_WATCH_DENIED',
  /** Several watches in a row ended within a retryPeriod, or did not open; the lease is polled in between. Reported once. */
  'LEADER_WATCH_BROKEN',
  /** The lease must be respected for many times this process' leaseDuration. Reported once. */
  'LEADER_LONG_LEASE',
  /** The holder of the lease writes another leaseDuration than this process. Reported once. */
  'LEADER_DURATIONS_DIFFER',
  /** Another process with this process' identity writes the lease. Reported once. */
  'LEADER_NAMESAKE',
  /** The term ran out because this process did not run for a time, as when its event loop is blocked. Reported. */
  'LEADER_PROCESS_PAUSED',
  /** The term ran out because the wall clock was set ahead, or the machine was suspended. Reported. */
  'LEADER_CLOCK_JUMPED',
  /** With `slots`: nobody leads a slot, and every process that is known to campaign leads another. Reported. */
  'LEADER_SLOT_UNLED',
  /** Gated work did not end within drainTimeout. Reported. */
  'LEADER_DRAIN_TIMEOUT',
  /** The API server does not support coordinated elections, so candidates claim the lease themselves. Reported once. */
  'LEADER_NOT_COORDINATED',
  /** The readiness check or the function `campaign` fails, so this process does not campaign. Reported; retried. */
  'LEADER_NOT_READY',
  /** The action at the start or end of a term failed or took too long. Reported; the election continues. */
  'LEADER_GUARD_FAILED',
  /** The label of the leader's Pod could not be set or removed. Reported; retried. */
  'LEADER_POD_LABEL_FAILED',
  /** The status of a pod cannot be watched, or does not show what a proof of death needs. Reported; a lease is waited out. */
  'LEADER_POD_STATUS_FAILED',
  /** A Kubernetes Event could not be written. Reported, and not again until one was written. */
  'LEADER_EVENT_FAILED',
  /** The election lacks permissions; the message has the Role rules. Reported, or thrown at boot. */
  'LEADER_PERMISSION_MISSING',
  /** A release could not be confirmed; at the latest the lease expires by itself. Reported. */
  'LEADER_RELEASE_FAILED',
  /** A listener of an election event threw; see `cause`. Reported. */
  'LEADER_LISTENER_FAILED',
  /** `whenLeader()` or `runAsLeader()` was called in a process with `campaign: false`, which never leads. */
  'LEADER_NOT_CAMPAIGNING',
  /** A gated method was called while this process does not lead. */
  'LEADER_NOT_LEADER',
  /** The term is over; `reason` says why. Also the `reason` of the term's AbortSignal. */
  'LEADER_TERM_OVER',
  /** `confirm()` got no answer from the API server, so it is unknown whether the lease is still held. */
  'LEADER_UNCONFIRMED',
  /** `currentTerm()` was called outside gated work. */
  'LEADER_NO_CURRENT_TERM',
  /** The elector or runner was started a second time. */
  'LEADER_ALREADY_STARTED',
  /** The elector has stopped, which ended a wait or a request. */
  'LEADER_STOPPED',
  /** Two elections have the same name. Thrown at boot. */
  'LEADER_DUPLICATE_ELECTION',
  /** A gated method was called on an instance that Nest did not create, or the module of its election is missing. */
  'LEADER_MODULE_MISSING',
  /** The module of an election was loaded lazily, which is not supported. Thrown when it is loaded. */
  'LEADER_MODULE_LAZY',
] as const;

/** The stable code of an error. */
export type LeaderErrorCode = (typeof codes)[number];

/** Every code, in the order of the table. */
export const leaderErrorCodes: readonly LeaderErrorCode[] = codes;

/** A global symbol: unlike `instanceof`, it also works between two copies of this package. */
const brand = Symbol.for('nestjs-leader.error');

/** The base of every error of this package. */
export class LeaderError extends Error {
  override readonly name: string = 'LeaderError';
  readonly code: LeaderErrorCode;
  constructor(code: LeaderErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** @internal On the prototype, so that it is not shown when an error is printed. */
  get [brand](): true {
    return true;
  }
}

/** Whether `error` is an error of this package, with the given code if any. */
export function isLeaderError(error: unknown, code?: LeaderErrorCode): error is LeaderError {
  if (typeof error !== 'object' || error === null || !(brand in error)) return false;
  return code === undefined || (error as LeaderError).code === code;
}

/** `LEADER_INVALID_OPTIONS`. */
export class InvalidOptionsError extends LeaderError {
  override readonly name = 'InvalidOptionsError';
  readonly #violations: readonly string[];

  constructor(
    violations: readonly string[],
    /** Whose options they are: the subject of the message. */
    whose = "The election's options",
  ) {
    super(
      'LEADER_INVALID_OPTIONS',
      `${whose} break ${violations.length === 1 ? 'a rule' : `${String(violations.length)} rules`}:\n` +
        violations.map((violation) => `  - ${violation}`).join('\n'),
    );
    this.#violations = violations;
  }

  /** One sentence per violated rule: the option, the value seen, the rule. A getter, because a printed error shows the message. */
  get violations(): readonly string[] {
    return this.#violations;
  }
}

/** `LEADER_ALREADY_STARTED`, of an elector. */
export function alreadyStarted(leaseName: string): LeaderError {
  return new LeaderError(
    'LEADER_ALREADY_STARTED',
    `The elector of '${leaseName}' was started a second time. Create a new elector for each run.`,
  );
}

/**
 * An error that web frameworks turn into a 503 with its message, and GraphQL servers into its code, unless it is handled. The
 * properties are getters, so that a printed error does not show them.
 *
 * @see https://www.npmjs.com/package/http-errors for the names
 */
abstract class UnavailableError extends LeaderError {
  get status(): number {
    return 503;
  }

  get statusCode(): number {
    return 503;
  }

  /** True, because the message contains no secret. */
  get expose(): boolean {
    return true;
  }

  /** graphql-js copies these into its response. */
  abstract get extensions(): { readonly code: string; readonly leader?: string };
}

/** `LEADER_NOT_LEADER`. */
export class NotLeaderError extends UnavailableError {
  override readonly name = 'NotLeaderError';
  /** The leader as last seen; `''` when none is known, or with `exposeLeader: false`. */
  readonly leader: string;
  readonly #isLeaderTold: boolean;

  /** @param leader undefined if the error must not name the leader. */
  constructor(
    readonly leaseName: string,
    leader: string | undefined,
  ) {
    super('LEADER_NOT_LEADER', `This process does not lead '${leaseName}'${leaderText(leader)}.`);
    this.leader = leader ?? '';
    this.#isLeaderTold = leader !== undefined;
  }

  override get extensions(): { readonly code: string; readonly leader?: string } {
    return { code: 'NOT_LEADER', ...(this.#isLeaderTold && { leader: this.leader }) };
  }
}

function leaderText(leader: string | undefined): string {
  if (leader === undefined) return '';
  return leader === '' ? '; the leader is unknown' : `; '${readable(leader)}' does`;
}

/** `LEADER_TERM_OVER`. */
export class TermOverError extends UnavailableError {
  override readonly name = 'TermOverError';

  constructor(
    readonly leaseName: string,
    readonly reason: TermEndReason,
  ) {
    super('LEADER_TERM_OVER', `The term on '${leaseName}' is over (${reason}), and its work must stop.`);
  }

  override get extensions(): { readonly code: string } {
    return { code: 'TERM_OVER' };
  }
}

/** A failed request about the lease. It never contains a response body or a secret. */
export class LeaseRequestError extends LeaderError {
  override readonly name = 'LeaseRequestError';
  readonly #maybeCommitted: boolean;
  readonly #retryAfterMs: number | undefined;

  constructor(
    code: LeaderErrorCode,
    message: string,
    options: { maybeCommitted: boolean; retryAfterMs?: number | undefined; cause?: unknown },
  ) {
    super(code, message, options.cause === undefined ? undefined : { cause: options.cause });
    this.#maybeCommitted = options.maybeCommitted;
    this.#retryAfterMs = options.retryAfterMs;
  }

  /** The request was a write that may have been committed in spite of the failure. A getter, so that a printed error does not show it. */
  get maybeCommitted(): boolean {
    return this.#maybeCommitted;
  }

  /** The wait that the server asked for, in milliseconds. A getter, as above. */
  get retryAfterMs(): number | undefined {
    return this.#retryAfterMs;
  }
}

/** Failures without a reply. */
export const WITHOUT_ANSWER: readonly LeaderErrorCode[] = ['LEADER_UNREACHABLE', 'LEADER_REQUEST_TIMEOUT'];

/** Failures that an immediate retry may overcome. */
const PASSING: readonly LeaderErrorCode[] = [...WITHOUT_ANSWER, 'LEADER_SERVER_ERROR', 'LEADER_THROTTLED'];

/** Whether the same request may succeed if it is repeated at once, and the server did not ask us to wait. */
export function isPassing({ code, retryAfterMs }: LeaseRequestError): boolean {
  return retryAfterMs === undefined && PASSING.includes(code);
}

/** Converts anything that a lock throws to a `LeaseRequestError`. */
export function asRequestError(error: unknown): LeaseRequestError {
  if (isLeaderError(error) && 'maybeCommitted' in error) return error as LeaseRequestError;
  const other = typeof error === 'string' ? error : typeof error;
  const what = error instanceof Error ? `${error.name}: ${error.message}` : other;
  const message = `The lock threw another error than a LeaseRequestError: ${readable(what)}`;
  return new LeaseRequestError('LEADER_UNREACHABLE', message, { maybeCommitted: true, cause: error });
}

// Strings from other sources, such as a holder's identity, in messages

/** How many characters of a string from another source are shown. An identity may not be longer. */
export const LONGEST_READABLE = 300;

/** Characters that are invisible, move the cursor or change the reading order: controls, formats, lone surrogates, separators. */
const unreadable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Makes a string from another source safe for a log line, a page or a response: unreadable characters are escaped (`\u000a`
 * for a line feed), and it is cut at 300 characters.
 */
export function readable(text: string): string {
  const escaped = text.slice(0, LONGEST_READABLE + 1).replace(unreadable, escape);
  if (escaped.length <= LONGEST_READABLE) return escaped;
  return `${escaped.slice(0, LONGEST_READABLE).replace(unreadable, escape)}…`;
}

/** Whether {@link readable} returns `text` unchanged. */
export function isReadable(text: string): boolean {
  return readable(text) === text;
}

function escape(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`;
}
