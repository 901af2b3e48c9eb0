/**
 * Every error this package throws or reports. Tell them apart by `code` with {@link isLeaderError}; messages
 * are for people and may change. The table below is the whole list.
 */
import type { TermEndReason } from './term.js';

const codes = [
  /** An option breaks a rule; `violations` lists every one. Thrown at boot. */
  'LEADER_INVALID_OPTIONS',
  /** No `leaseNamespace` given, and none known from `POD_NAMESPACE`, the pod or a kubeconfig. Thrown at boot. */
  'LEADER_NO_NAMESPACE',
  /** Neither in a cluster nor a kubeconfig that names one. Reported; retried. */
  'LEADER_NO_CLUSTER',
  /** The kubeconfig cannot be read or used. Reported; retried. */
  'LEADER_KUBECONFIG_INVALID',
  /** `@kubernetes/client-node` is not installed, or cannot be loaded by this Node. Thrown at boot. */
  'LEADER_CLIENT_UNUSABLE',
  /** The namespace of the lease does not exist (404). Reported; retried. */
  'LEADER_NAMESPACE_NOT_FOUND',
  /** Credentials refused (401), also after reading them again. Reported; retried. */
  'LEADER_UNAUTHORIZED',
  /** Forbidden (403): the message holds the Role rule that grants it, or names the quota, webhook or policy that refuses. Reported; retried. */
  'LEADER_FORBIDDEN',
  /** The API server found our request invalid (400, 422). Reported; retried. */
  'LEADER_REQUEST_INVALID',
  /** Asked to slow down (429). Reported; retried after Retry-After. */
  'LEADER_THROTTLED',
  /** The API server failed (5xx, or an answer that is none). Reported; retried. */
  'LEADER_SERVER_ERROR',
  /** No connection, or it broke. Reported; retried. */
  'LEADER_UNREACHABLE',
  /** No answer within the request's share of the deadline. Reported; retried. */
  'LEADER_REQUEST_TIMEOUT',
  /** A write was answered as done, but what came back is not what was written. Reported; retried. */
  'LEADER_WRITE_NOT_KEPT',
  /** Write after write was refused as a conflict (409), although each was based on what a read had shown. Reported; retried. */
  'LEADER_WRITE_CONFLICT',
  /** No permission to watch the lease; it is polled instead. Reported once. */
  'LEADER_WATCH_DENIED',
  /** Whoever held the lease is to be waited for many times as long as this process' leaseDuration. Reported once. */
  'LEADER_LONG_LEASE',
  /** Gated work did not end within drainTimeout. Reported. */
  'LEADER_DRAIN_TIMEOUT',
  /** The API server does not serve coordinated elections, so the lease is claimed as in any other. Reported once. */
  'LEADER_NOT_COORDINATED',
  /** The readiness check fails, so this process does not campaign. Reported. */
  'LEADER_NOT_READY',
  /** What is done when a term starts or ends failed, or took too long. Reported; the election goes on. */
  'LEADER_GUARD_FAILED',
  /** The leader's Pod could not be labelled, or its label taken off. Reported; tried again. */
  'LEADER_POD_LABEL_FAILED',
  /** A Kubernetes Event could not be written. Reported, once until one is. */
  'LEADER_EVENT_FAILED',
  /** The election lacks permissions; the message holds the Role rules. Reported, or thrown at boot. */
  'LEADER_PERMISSION_MISSING',
  /** A release could not be made sure of; the lease runs out by itself. Reported. */
  'LEADER_RELEASE_FAILED',
  /** A listener of an election event threw; `cause` is what it threw. Reported. */
  'LEADER_LISTENER_FAILED',
  /** Gated work was called while this process does not lead. */
  'LEADER_NOT_LEADER',
  /** The term is over; `reason` says why. Also the `reason` of the term's AbortSignal. */
  'LEADER_TERM_OVER',
  /** `confirm()` could not reach the API server, so the term is neither proved nor disproved. */
  'LEADER_UNCONFIRMED',
  /** `currentTerm()` was called outside gated work. */
  'LEADER_NO_CURRENT_TERM',
  /** The elector or runner was started a second time. */
  'LEADER_ALREADY_STARTED',
  /** The elector has stopped, so what was waited for cannot come. */
  'LEADER_STOPPED',
  /** Two elections have one name. Thrown at boot. */
  'LEADER_DUPLICATE_ELECTION',
  /** A gated method runs in an instance Nest did not make, or its election's module is missing. */
  'LEADER_MODULE_MISSING',
  /** The module of an election was loaded lazily, where it cannot begin. Thrown when it is loaded. */
  'LEADER_MODULE_LAZY',
] as const;

/** The stable name of an error. */
export type LeaderErrorCode = (typeof codes)[number];

/** Every code, in the order of the table. */
export const leaderErrorCodes: readonly LeaderErrorCode[] = codes;

/** A symbol of the whole process: `instanceof` fails between two copies of a package, this does not. */
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

/** Whether `error` is one of this package's, and of that code if one is given. */
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
    /** Which options, where there are several. */
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
    `The elector of '${leaseName}' was started a second time. Make another for another run.`,
  );
}

/**
 * An error that a web framework answers with 503 and its message, and a GraphQL server with its code, when nothing else handles
 * it. The properties are getters, so that a printed error does not show them.
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

  /** The message holds no secret. */
  get expose(): boolean {
    return true;
  }

  /** graphql-js copies them into the answer. */
  abstract get extensions(): { readonly code: string; readonly leader?: string };
}

/** `LEADER_NOT_LEADER`. */
export class NotLeaderError extends UnavailableError {
  override readonly name = 'NotLeaderError';
  /** Who leads, as last seen; `''` when nobody was seen to lead, or with `exposeLeader: false`. */
  readonly leader: string;
  readonly #isLeaderTold: boolean;

  /** @param leader undefined: the error must not name it. */
  constructor(
    readonly leaseName: string,
    leader: string | undefined,
  ) {
    super('LEADER_NOT_LEADER', `This process does not lead '${leaseName}'${whoDoes(leader)}.`);
    this.leader = leader ?? '';
    this.#isLeaderTold = leader !== undefined;
  }

  override get extensions(): { readonly code: string; readonly leader?: string } {
    return { code: 'NOT_LEADER', ...(this.#isLeaderTold && { leader: this.leader }) };
  }
}

function whoDoes(leader: string | undefined): string {
  if (leader === undefined) return '';
  return leader === '' ? '; nobody is known to' : `; '${readable(leader)}' does`;
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

/** A request about the lease that failed. Never holds a response body or a secret. */
export class LeaseRequestError extends LeaderError {
  override readonly name = 'LeaseRequestError';
  /** The request was a write and may have been carried out all the same. */
  readonly maybeCommitted: boolean;
  /** How long the server asked us to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: LeaderErrorCode,
    message: string,
    options: { maybeCommitted: boolean; retryAfterMs?: number | undefined; cause?: unknown },
  ) {
    super(code, message, options.cause === undefined ? undefined : { cause: options.cause });
    this.maybeCommitted = options.maybeCommitted;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Failures without an answer. */
export const WITHOUT_ANSWER: readonly LeaderErrorCode[] = ['LEADER_UNREACHABLE', 'LEADER_REQUEST_TIMEOUT'];

/** Failures that may be over by the next attempt, when nobody said to wait. */
const PASSING: readonly LeaderErrorCode[] = [...WITHOUT_ANSWER, 'LEADER_SERVER_ERROR', 'LEADER_THROTTLED'];

/** Whether the same request may succeed if it is made again at once. */
export function isPassing({ code, retryAfterMs }: LeaseRequestError): boolean {
  return retryAfterMs === undefined && PASSING.includes(code);
}

/** Whatever a lock throws, as the one thing it may throw. */
export function asRequestError(error: unknown): LeaseRequestError {
  if (isLeaderError(error) && 'maybeCommitted' in error) return error as LeaseRequestError;
  const message = 'The request failed in an unforeseen way; see its cause.';
  return new LeaseRequestError('LEADER_UNREACHABLE', message, { maybeCommitted: true, cause: error });
}

// Texts that others chose, such as a holder's identity, as people are shown them

/** How many characters of such a text are shown, and so how many an own identity may have. */
export const LONGEST_READABLE = 300;

/** What moves the cursor, changes the order of what is read, or cannot be seen or sent: controls, formats, halves of pairs, line ends. */
const unreadable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * A text of others for a log line, a page or an answer: what cannot be read in it is escaped (`\u000a` for a line feed), and it is cut at 300
 * characters. Any other text is as it was.
 */
export function readable(text: string): string {
  const escaped = text.slice(0, LONGEST_READABLE + 1).replace(unreadable, escape);
  if (text.length <= LONGEST_READABLE && escaped.length <= LONGEST_READABLE) return escaped;
  return `${escaped.slice(0, LONGEST_READABLE).replace(unreadable, escape)}…`;
}

/** Whether it is shown as it is. */
export function isReadable(text: string): boolean {
  return readable(text) === text;
}

function escape(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`;
}
