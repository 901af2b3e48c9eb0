/** The answers of the server, and the Status objects that say why a request is refused. */

/** A whole answer. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

export function objectReply(status: number, object: object): Reply {
  return { status, body: `${JSON.stringify(object)}\n` };
}

export function textReply(status: number, body: string): Reply {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body };
}

/** The answer to a request that failed. An error that is not a `StatusError` is the server's own failure. */
export function errorReply(error: unknown): Reply {
  const { status } = error instanceof StatusError ? error : failed(500, String(error));
  return objectReply(status.code, status);
}

/** The object that an error is about, and the causes of the error. */
interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly causes?: readonly { readonly reason: string; readonly message: string; readonly field?: string }[];
  readonly retryAfterSeconds?: number;
}

/** Thrown to refuse a request. */
export class StatusError extends Error {
  override readonly name = 'StatusError';

  /** @param status the Kubernetes Status object to answer with. */
  constructor(readonly status: { readonly code: number; readonly message: string }) {
    super(status.message);
  }
}

/** The API group of Leases. */
export const GROUP = 'coordination.k8s.io';

/** `details` of most errors about Leases. */
export const RESOURCE = { group: GROUP, kind: 'leases' } as const;

/** `details` where the API server names the type instead: validation, preconditions of a deletion. */
export const TYPE = { group: GROUP, kind: 'Lease' } as const;

/** The reason that belongs to each code. 500 has none. */
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

/** Makes a refusal. `details` may be an empty object: the API server sends that in some cases. */
export function failed(
  code: number,
  message: string,
  details?: StatusDetails,
  reason = reasons[code],
): StatusError {
  const kind = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' };
  return new StatusError({ ...kind, message, ...(reason && { reason }), ...(details && { details }), code });
}

/** A field that breaks a rule. */
export type Violation = readonly [
  field: string,
  reason: 'Forbidden' | 'Invalid' | 'NotSupported' | 'Required' | 'TooLong',
  message: string,
];

/** How many violations an answer lists. */
const MAX_LISTED = 16;

/** @throws StatusError 422 if there is a violation */
export function refuseViolations(about: StatusDetails, violations: readonly Violation[]): void {
  if (violations.length === 0) return;
  const listed = violations.slice(0, MAX_LISTED);
  const causes = listed.map(([field, reason, message]) => ({
    reason: `FieldValue${reason}`,
    message,
    field,
  }));
  const texts = listed.map(([field, , message]) => `${field}: ${message}`).join(', ');
  const message = `${about.kind ?? 'object'} "${about.name ?? ''}" is invalid: ${texts}`;
  throw failed(422, message, { ...about, causes });
}

const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

/** 409: the Lease has another version or another uid than the client expects. */
export function conflict(name: string, why = MODIFIED, resource: StatusDetails = RESOURCE): StatusError {
  const message = `Operation cannot be fulfilled on ${String(resource.kind)}.${GROUP} "${name}": ${why}`;
  return failed(409, message, { ...(name !== '' && { name }), ...resource });
}

/** What a user wants to do. */
export interface Access {
  readonly user: string;
  readonly verb: string;
  readonly namespace: string;
  readonly name: string;
}

/** 403, in the API server's words: clients read in them which permission is missing. */
export function forbidden(
  { user, verb, namespace, name }: Access,
  { group, kind }: { readonly group: string; readonly kind: string } = RESOURCE,
): StatusError {
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const why = `User "${user}" cannot ${verb} resource "${kind}" in API group "${group}" ${where}`;
  const subject = name === '' ? `${kind}.${group}` : `${kind}.${group} "${name}"`;
  return failed(403, `${subject} is forbidden: ${why}`, { ...(name !== '' && { name }), group, kind });
}
