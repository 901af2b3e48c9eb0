/** The answers of the server: whole replies, and the Status objects that say why a request is refused. */
import type { ServerResponse } from 'node:http';

/** A whole answer. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string;
}

/** An object as JSON, with what the client is warned of. */
export function objectReply(status: number, object: object, warnings: readonly string[] = []): Reply {
  const shown = warnings.slice(0, MAX_SHOWN).map((text) => `299 - ${JSON.stringify(printable(text))}`);
  return {
    status,
    headers: shown.length === 0 ? {} : { Warning: shown },
    body: `${JSON.stringify(object)}\n`,
  };
}

export function textReply(status: number, body: string): Reply {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body };
}

/** The answer to a request that failed; an error that is no `StatusError` is the server's own failure. */
export function errorReply(error: unknown): Reply {
  const { status } = error instanceof StatusError ? error : unforeseen(String(error));
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
    ...(headers as Record<string, string | string[]>),
  });
  response.end(body);
}

/** How many causes or warnings an answer lists, and how many characters of each warning. */
const MAX_SHOWN = 16;
const MAX_WARNING_LENGTH = 256;

function printable(text: string): string {
  return text.slice(0, MAX_WARNING_LENGTH).replace(/[^ -~]/g, '?');
}

/** A violated rule, in `details.causes`. */
export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
}

/** What an error is about. */
interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** A Kubernetes Status object that reports a failure. */
export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Record<string, never>;
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

/** `details` of most errors about one Lease. */
export const RESOURCE: StatusDetails = { group: GROUP, kind: 'leases' };

/** `details` where the server names the type instead: validation, preconditions of a deletion. */
export const TYPE: StatusDetails = { group: GROUP, kind: 'Lease' };

/** A refusal. Without a reason for what the API server itself did not foresee. */
export function failed(
  code: number,
  reason: string | undefined,
  message: string,
  details?: StatusDetails,
): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason !== undefined && { reason }),
    ...(details !== undefined && { details }),
    code,
  });
}

export function badRequest(message: string): StatusError {
  return failed(400, 'BadRequest', message);
}

export function unauthorized(): StatusError {
  return failed(401, 'Unauthorized', 'Unauthorized');
}

/** What a user wants to do. */
export interface Access {
  readonly user: string;
  readonly verb: string;
  readonly namespace: string;
  readonly name: string;
}

/** In the API server's words: clients read in them what is not permitted. */
export function forbidden(
  { user, verb, namespace, name }: Access,
  { group = '', kind = '' }: StatusDetails,
): StatusError {
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const why = `User "${user}" cannot ${verb} resource "${kind}" in API group "${group}" ${where}`;
  const details = { ...(name !== '' && { name }), group, kind };
  return failed(403, 'Forbidden', `${qualified(`${kind}.${group}`, name)} is forbidden: ${why}`, details);
}

export function forbiddenLeases(access: Access): StatusError {
  return forbidden(access, RESOURCE);
}

export function notFound(resource: StatusDetails): StatusError {
  const { kind = '', group, name } = resource;
  const whole = group === undefined ? kind : `${kind}.${group}`;
  return failed(404, 'NotFound', `${qualified(whole, name)} not found`, resource);
}

export function noSuchResource(): StatusError {
  return failed(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function methodNotAllowed(): StatusError {
  const message = 'the server does not allow this method on the requested resource';
  return failed(405, 'MethodNotAllowed', message, {});
}

export function notAcceptable(): StatusError {
  return failed(406, 'NotAcceptable', 'Available representations: application/json', {});
}

export function alreadyExists(name: string, isBeingDeleted: boolean): StatusError {
  const prefix = isBeingDeleted ? 'object is being deleted: ' : '';
  const message = `${prefix}${qualified(`leases.${GROUP}`, name)} already exists`;
  return failed(409, 'AlreadyExists', message, { name, ...RESOURCE });
}

/** The Lease was changed, or is another one, than the writer expects. */
export function conflict(name: string, why = MODIFIED, resource = RESOURCE): StatusError {
  const subject = qualified(`${String(resource.kind)}.${GROUP}`, name);
  const details = { ...(name !== '' && { name }), ...resource };
  return failed(409, 'Conflict', `Operation cannot be fulfilled on ${subject}: ${why}`, details);
}

const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

export function expired(message: string): StatusError {
  return failed(410, 'Expired', message);
}

export function entityTooLarge(message: string): StatusError {
  return failed(413, 'RequestEntityTooLarge', `Request entity too large: ${message}`);
}

/** @param details the API server gives empty ones for a PATCH. */
export function unsupportedMediaType(accepted: string, details?: StatusDetails): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted}`;
  return failed(415, 'UnsupportedMediaType', message, details);
}

/** @param resource the type that breaks the rules, and its name if it has one. */
export function invalid(resource: StatusDetails, all: readonly StatusCause[]): StatusError {
  const causes = all.slice(0, MAX_SHOWN);
  const { kind = '', group = '', name = '' } = resource;
  const told = causes.map(({ field, message }) => `${String(field)}: ${message}`).join(', ');
  return failed(422, 'Invalid', `${kind}.${group} ${JSON.stringify(name)} is invalid: ${told}`, {
    ...resource,
    causes,
  });
}

export function unforeseen(message: string): StatusError {
  return failed(500, undefined, message);
}

export function versionTooLarge(asked: number, current: number): StatusError {
  const message = `Timeout: Too large resource version: ${String(asked)}, current: ${String(current)}`;
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  return failed(504, 'Timeout', message, { causes, retryAfterSeconds: 1 });
}

function qualified(resource: string, name: string | undefined): string {
  return name === undefined || name === '' ? resource : `${resource} ${JSON.stringify(name)}`;
}
