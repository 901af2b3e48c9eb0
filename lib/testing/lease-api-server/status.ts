/** The API server's errors, word for word. Everything that is refused is thrown as a `StatusError`. */
import { goQuote } from './go-quote.js';
import { toJson } from './json-text.js';

/** One violated rule, in `details.causes`. */
export interface StatusCause {
  readonly reason?: string;
  readonly message: string;
  readonly field?: string;
}

/** What an error is about. */
export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** A Kubernetes Status object. */
export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Record<string, never>;
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
}

/** An answer other than success. */
export class StatusError extends Error {
  override readonly name = 'StatusError';

  constructor(readonly status: Status & { readonly code: number }) {
    super(status.message);
  }

  /** The same error with another text. */
  withMessage(message: string): StatusError {
    return new StatusError({ ...this.status, message });
  }
}

/** The API group of Leases. */
export const GROUP = 'coordination.k8s.io';

/** What `details` of most errors about one Lease says. */
export const RESOURCE = { group: GROUP, kind: 'leases' } as const;

/** What `details` says where the server speaks of the type instead of the resource. */
export const TYPE = { group: GROUP, kind: 'Lease' } as const;

/** An error of any kind. */
export function failed(code: number, reason: string, message: string, details?: StatusDetails): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason === '' ? {} : { reason }),
    ...(details === undefined ? {} : { details }),
    code,
  });
}

function about(kind: typeof RESOURCE | typeof TYPE, name: string): StatusDetails {
  return { ...(name === '' ? {} : { name }), ...kind };
}

function qualified(kind: typeof RESOURCE | typeof TYPE, name: string): string {
  return `${kind.kind}.${kind.group} ${goQuote(name)}`;
}

export function badRequest(message: string): StatusError {
  return failed(400, 'BadRequest', message);
}

export function unauthorized(): StatusError {
  return failed(401, 'Unauthorized', 'Unauthorized');
}

export function notFound(name: string): StatusError {
  return failed(404, 'NotFound', `${qualified(RESOURCE, name)} not found`, about(RESOURCE, name));
}

export function namespaceNotFound(namespace: string): StatusError {
  const message = `namespaces ${goQuote(namespace)} not found`;
  return failed(404, 'NotFound', message, { name: namespace, kind: 'namespaces' });
}

export function noSuchResource(): StatusError {
  return failed(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function methodNotAllowed(): StatusError {
  const message = 'the server does not allow this method on the requested resource';
  return failed(405, 'MethodNotAllowed', message, {});
}

export function alreadyExists(name: string): StatusError {
  return failed(409, 'AlreadyExists', `${qualified(RESOURCE, name)} already exists`, about(RESOURCE, name));
}

/** @param kind which of the two names of Leases the server uses where this arises. */
export function conflict(
  name: string,
  detail: string,
  kind: typeof RESOURCE | typeof TYPE = RESOURCE,
): StatusError {
  const message = `Operation cannot be fulfilled on ${qualified(kind, name)}: ${detail}`;
  // The facts: a precondition's conflict names the type, and so do its details.
  return failed(409, 'Conflict', message, about(kind, name));
}

/** @param resourceName `''` for a request about no Lease in particular. */
export function forbidden(details: StatusDetails, resourceName: string, why: string): StatusError {
  const resource = [details.kind, details.group].filter((part) => part !== undefined).join('.');
  const subject =
    resource === ''
      ? 'forbidden'
      : `${resource}${resourceName === '' ? '' : ` ${goQuote(resourceName)}`} is forbidden`;
  return failed(403, 'Forbidden', `${subject}: ${why}`, details);
}

export function expired(message: string): StatusError {
  return failed(410, 'Expired', message);
}

/** @param limit how much is taken, with its unit unless it is bytes. */
export function entityTooLarge(limit: string): StatusError {
  return failed(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limit}`);
}

/** A body of POST or PUT that is not understood. */
export function unknownFormat(accepted: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return failed(415, 'UnsupportedMediaType', message);
}

/** A PATCH that is of no known type. */
export function unsupportedMediaType(): StatusError {
  return failed(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
}

export function notAcceptable(served: readonly string[]): StatusError {
  const message = `406: Not Acceptable\n\nAvailable representations: ${served.join(', ')}`;
  return failed(406, 'NotAcceptable', message, {});
}

/** A JSON patch that cannot be carried out. */
export function patchRejected(): StatusError {
  return failed(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
}

/** What the server did not foresee: 500 with its own words and no reason. */
export function unforeseen(message: string): StatusError {
  return failed(500, '', message);
}

export function resourceVersionTooLarge(asked: number, current: number): StatusError {
  const message = `Timeout: Too large resource version: ${String(asked)}, current: ${String(current)}`;
  return failed(504, 'Timeout', message, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

/** One violated rule of validation. */
export interface FieldError {
  readonly reason: string;
  /** Without the field. */
  readonly message: string;
  readonly field: string;
}

/** How much of a wrong value, and how many of the violated rules, an answer shows. */
const MAX_SHOWN_LENGTH = 1_000;
const MAX_SHOWN_ERRORS = 100;

/** @param shown the value as the server prints it. */
export function invalidValue(field: string, shown: string, rule: string): FieldError {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${cut(shown)}: ${rule}`, field };
}

function cut(shown: string): string {
  return shown.length > MAX_SHOWN_LENGTH ? `${shown.slice(0, MAX_SHOWN_LENGTH)} …` : shown;
}

export function requiredValue(field: string, rule: string): FieldError {
  return {
    reason: 'FieldValueRequired',
    message: rule === '' ? 'Required value' : `Required value: ${rule}`,
    field,
  };
}

export function forbiddenValue(field: string, rule: string): FieldError {
  return { reason: 'FieldValueForbidden', message: `Forbidden: ${rule}`, field };
}

export function tooLong(field: string, rule: string): FieldError {
  return { reason: 'FieldValueTooLong', message: `Too long: ${rule}`, field };
}

/** @param shown the value as the server prints it. */
export function unsupportedValue(field: string, shown: string, supported: readonly string[]): FieldError {
  const message = `Unsupported value: ${cut(shown)}: supported values: ${supported.map(goQuote).join(', ')}`;
  return { reason: 'FieldValueNotSupported', message, field };
}

/** 422. A rule violated several times is told once in the message, each time in the causes. */
export function invalid(kind: StatusDetails, name: string, all: readonly FieldError[]): StatusError {
  const errors = all.slice(0, MAX_SHOWN_ERRORS);
  const texts = [...new Set(errors.map(({ field, message }) => `${field}: ${message}`))];
  const told = texts.length === 1 ? String(texts[0]) : `[${texts.join(', ')}]`;
  const subject = `${kind.kind ?? ''}${kind.group === undefined ? '' : `.${kind.group}`}`;
  const message = `${subject} ${goQuote(name)} is invalid: ${told}`;
  return failed(422, 'Invalid', message, { ...(name === '' ? {} : { name }), ...kind, causes: errors });
}

/** An error as it goes over the wire. */
export function statusJson(status: Status): string {
  return `${toJson(status)}\n`;
}
