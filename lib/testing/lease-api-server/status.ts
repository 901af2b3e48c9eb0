/** The answers of the server, and the Status objects that say why a request is refused. */
import type { ServerResponse } from 'node:http';

/** A whole answer. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body: string;
}

/** How many causes or warnings an answer lists, and how many characters of each warning. */
const MAX_LISTED = 16;
const MAX_WARNING_LENGTH = 256;

/** An object as JSON, with what the client is warned of. */
export function objectReply(status: number, object: object, warnings: readonly string[] = []): Reply {
  const body = `${JSON.stringify(object)}\n`;
  if (warnings.length === 0) return { status, body };
  const listed = warnings.slice(0, MAX_LISTED).map((text) => text.slice(0, MAX_WARNING_LENGTH));
  const Warning = listed.map((text) => `299 - ${JSON.stringify(text.replace(/[^ -~]/g, '?'))}`);
  return { status, headers: { Warning }, body };
}

export function textReply(status: number, body: string): Reply {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body };
}

/** The answer to a request that failed. An error that is not a `StatusError` is the server's own failure. */
export function errorReply(error: unknown): Reply {
  const { status } = error instanceof StatusError ? error : failed(500, String(error));
  const { retryAfterSeconds } = status.details ?? {};
  const headers = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) };
  return { ...objectReply(status.code, status), headers };
}

/** Writes the answer, unless the client has gone. */
export function send(response: ServerResponse, { status, headers, body }: Reply): void {
  if (response.destroyed || response.writableEnded) return;
  response.writeHead(status, {
    'Cache-Control': 'no-cache, private',
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    ...headers,
  });
  response.end(body);
}

/** What an error is about. */
interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly causes?: readonly { readonly reason: string; readonly message: string; readonly field?: string }[];
  readonly retryAfterSeconds?: number;
}

/** A Kubernetes Status object that reports a failure. */
interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: object;
  readonly status: 'Failure';
  readonly message: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code: number;
}

/** A request is refused. Every refusal is thrown as one. */
export class StatusError extends Error {
  override readonly name = 'StatusError';

  constructor(readonly status: Status) {
    super(status.message);
  }
}

/** The API group of Leases. */
export const GROUP = 'coordination.k8s.io';

/** `details` of most errors about Leases. */
export const RESOURCE = { group: GROUP, kind: 'leases' } as const;

/** `details` where the API server names the type instead: validation, preconditions of a deletion. */
export const TYPE = { group: GROUP, kind: 'Lease' } as const;

/** 500 has none: it is what the API server did not foresee. */
const reasons: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/** A refusal. The API server gives empty details for some that are about nothing in particular. */
export function failed(
  code: number,
  message: string,
  details?: StatusDetails,
  reason = reasons[code],
): StatusError {
  const rest = { ...(reason !== undefined && { reason }), ...(details !== undefined && { details }), code };
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...rest,
  });
}

/** A rule about a field, and how it is told when it is broken. */
export type Rule = readonly [
  isKept: boolean,
  field: string,
  reason: 'Forbidden' | 'Invalid' | 'NotSupported' | 'Required' | 'TooLong',
  message: string,
];

/** @throws StatusError 422 with every rule that is broken */
export function requireRules(resource: StatusDetails, rules: readonly Rule[]): void {
  const broken = rules.filter(([isKept]) => !isKept).slice(0, MAX_LISTED);
  if (broken.length === 0) return;
  const causes = broken.map(([, field, reason, message]) => ({
    reason: `FieldValue${reason}`,
    message,
    field,
  }));
  const told = causes.map(({ field, message }) => `${field}: ${message}`).join(', ');
  const message = `${resource.kind ?? 'object'} "${resource.name ?? ''}" is invalid: ${told}`;
  throw failed(422, message, { ...resource, causes });
}

/** 409: the Lease is not in the state, or is not the one, that the client expects. */
export function conflict(name: string, why = MODIFIED, resource: StatusDetails = RESOURCE): StatusError {
  const message = `Operation cannot be fulfilled on ${String(resource.kind)}.${GROUP} "${name}": ${why}`;
  return failed(409, message, { ...(name !== '' && { name }), ...resource });
}

const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

/** What a user wants to do. */
export interface Access {
  readonly user: string;
  readonly verb: string;
  readonly namespace: string;
  readonly name: string;
}

/** 403, in the API server's words: clients read in them what is not permitted. */
export function forbidden(
  { user, verb, namespace, name }: Access,
  { group, kind }: { readonly group: string; readonly kind: string } = RESOURCE,
): StatusError {
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const why = `User "${user}" cannot ${verb} resource "${kind}" in API group "${group}" ${where}`;
  const subject = name === '' ? `${kind}.${group}` : `${kind}.${group} "${name}"`;
  const details = { ...(name !== '' && { name }), group, kind };
  return failed(403, `${subject} is forbidden: ${why}`, details);
}
