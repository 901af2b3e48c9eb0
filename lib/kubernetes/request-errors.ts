import { LeaseRequestError, isLeaderError, type LeaderErrorCode } from '../election/internal.js';
import { causeOf, isMissingPermission } from './refusal-cause.js';
import { LEASES, fullNameOf, ruleFor, type ResourceKind } from './resources.js';
import { ABORTED, TOO_LONG, TransportError, type HttpResponse } from './transport.js';

/** The request that an error is about. */
export interface RequestContext {
  readonly verb: 'get' | 'list' | 'create' | 'update' | 'delete' | 'watch' | 'patch';
  readonly resource: ResourceKind;
  /** `''` for an object that has no name yet, and for all objects of a kind. */
  readonly name: string;
  /** `''` for every namespace. */
  readonly namespace: string;
}

/** The parts of a Status that this package uses. */
export interface StatusFacts {
  /** Undefined if the body is not a Status; then the answer is not the API server's own. */
  readonly message: string | undefined;
  readonly reason: string | undefined;
  /** The kind of the object that it is about. */
  readonly kind: string | undefined;
  readonly fields: readonly string[];
}

/** Reads a Status. A body that is not a Status gives no facts. */
export function readStatus(text: string): StatusFacts {
  try {
    const { kind, reason, message, details } = JSON.parse(text) as {
      kind?: unknown;
      reason?: string;
      message?: unknown;
      details?: { kind?: string; causes?: { field?: unknown }[] };
    };
    const said = typeof message === 'string' ? message : '';
    return {
      message: kind === 'Status' || reason !== undefined ? said : undefined,
      reason,
      kind: details?.kind,
      fields: (details?.causes ?? [])
        .map(({ field }) => field)
        .filter(isFieldPath)
        .slice(0, MOST_FIELDS),
    };
  } catch {
    return { message: undefined, reason: undefined, kind: undefined, fields: [] };
  }
}

const MOST_FIELDS = 5;

/** Other text may be forged, and must not reach the log. */
function isFieldPath(field: unknown): field is string {
  return typeof field === 'string' && /^[\w.[\]/-]{1,64}$/.test(field);
}

/**
 * The error for an answer that refuses the request. It is derived from the status, reason, details and known
 * messages. No part of the body is passed on, because it may contain secrets, except the paths of invalid fields and
 * the names of webhooks, policies and quotas.
 */
export function refusal(
  response: Pick<HttpResponse, 'status' | 'headers' | 'text'>,
  context: RequestContext,
): LeaseRequestError {
  const { status } = response;
  const [code, message] = explain(status, readStatus(response.text), context);
  return new LeaseRequestError(code, message, {
    maybeCommitted: isWrite(context) && (status >= 500 || status < 300),
    retryAfterMs: retryAfterIn(response.headers['retry-after']),
  });
}

/** The seconds of a `Retry-After`, in milliseconds. A date is not used: no remote time is compared with a clock of this process. */
function retryAfterIn(header: unknown): number | undefined {
  const seconds = typeof header === 'string' && /^\d{1,9}$/.test(header) ? Number(header) : 0;
  return seconds > 0 ? seconds * 1000 : undefined;
}

/** The error for a request without an answer. */
export function failure(error: unknown, context: RequestContext): LeaseRequestError {
  if (isLeaderError(error) && 'maybeCommitted' in error) return error as LeaseRequestError;
  const sent = error instanceof TransportError ? error.sent : true;
  if (error instanceof TransportError && error.code === ABORTED) return givenUp(error, context);
  if (error instanceof TransportError && error.code === TOO_LONG) return unusable(TOO_LONG_TO_USE, context);
  const code = error instanceof TransportError ? error.code : codeOf(error);
  return new LeaseRequestError(
    'LEADER_UNREACHABLE',
    `The API server could not be reached to ${context.verb} ${describe(context)} (${code}). ${hintFor(code)}`,
    { maybeCommitted: isWrite(context) && sent, cause: error },
  );
}

export const TOO_LONG_TO_USE = 'it is longer than any object can be';

/** The error for an answer that cannot be used. `why` must not quote the answer. */
export function unusable(why: string, context: RequestContext): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_SERVER_ERROR',
    `The answer to ${context.verb} ${describe(context)} cannot be used: ${why}. Does a proxy or an admission webhook ` +
      `change the API server's answers, or is this another server?`,
    { maybeCommitted: isWrite(context) },
  );
}

/** The signal's reason if that is a LeaseRequestError; otherwise an error that says the request was given up. */
function givenUp({ cause, sent }: TransportError, context: RequestContext): LeaseRequestError {
  if (isLeaderError(cause) && 'maybeCommitted' in cause) return cause as LeaseRequestError;
  return new LeaseRequestError(
    'LEADER_REQUEST_TIMEOUT',
    `The request to ${context.verb} ${describe(context)} was given up before the API server answered.`,
    { maybeCommitted: isWrite(context) && sent, cause },
  );
}

/** Whether the API server itself says that the Lease does not exist. Any other 404 proves nothing about the Lease. */
export function saysNoLease({ status, text }: Pick<HttpResponse, 'status' | 'text'>): boolean {
  if (status !== 404) return false;
  const { reason, kind } = readStatus(text);
  return reason === 'NotFound' && kind === 'leases';
}

function explain(status: number, facts: StatusFacts, context: RequestContext): [LeaderErrorCode, string] {
  const request = `request to ${context.verb} ${describe(context)}`;
  const cause = causeOf(facts.message ?? '', context);
  if (status === 401) {
    return [
      'LEADER_UNAUTHORIZED',
      `The API server does not accept the credentials (401) of the ${request}. Has the token or certificate expired, or ` +
        `has the service account been deleted? A kubernetes.token cannot be replaced while the process runs; the token ` +
        `in a kubernetes.tokenFile can.${senderHint(facts)}`,
    ];
  }
  if (status === 403) return ['LEADER_FORBIDDEN', forbidden(facts, cause, context)];
  if (status === 404 && facts.kind === 'namespaces') {
    return [
      'LEADER_NAMESPACE_NOT_FOUND',
      `There is no namespace '${context.namespace}' (404). Create it (kubectl create namespace ${context.namespace}), ` +
        `or set leaseNamespace to one that exists.`,
    ];
  }
  if (status === 429) {
    const why = cause?.replace(/\.$/, '') ?? 'The API server is overloaded';
    return ['LEADER_THROTTLED', `${why} (429) and asks to come back later.`];
  }
  if (status === 413) {
    return ['LEADER_REQUEST_INVALID', `The API server finds the ${request} too large (413).`];
  }
  if (status === 400 || status === 422) {
    const fields = facts.fields.length > 0 ? ` Invalid fields: ${facts.fields.join(', ')}.` : '';
    const why = cause ?? `Was the object edited by hand, or does an admission webhook refuse it?`;
    return [
      'LEADER_REQUEST_INVALID',
      `The API server finds the ${request} invalid (${String(status)}).${fields} ${why}`,
    ];
  }
  if (status === 404 && facts.kind === context.resource.plural) {
    return ['LEADER_REQUEST_INVALID', `There is no ${describe(context)} (404).`];
  }
  if (status === 404) {
    return [
      'LEADER_SERVER_ERROR',
      `The server at this address does not serve ${fullNameOf(context.resource)}: it answered the ${request} with 404. ` +
        `Is the server's URL right, including its path?`,
    ];
  }
  if (status === 409) {
    return [
      'LEADER_SERVER_ERROR',
      `Another client changed the object at the same time (409) as the ${request}.`,
    ];
  }
  const why = cause === undefined ? '' : ` ${cause}`;
  return [
    'LEADER_SERVER_ERROR',
    `The API server answered the ${request} ${status === 0 ? 'without a status' : `with ${String(status)}`}` +
      `${status < 300 ? ', and the answer cannot be used' : ''}.${why}`,
  ];
}

/** A Role rule is the remedy only for a refusal by an authorizer, or one whose cause is unknown. */
function forbidden(facts: StatusFacts, cause: string | undefined, context: RequestContext): string {
  const asked = `The API server forbids this process (403) to ${context.verb} ${describe(context)}.`;
  if (cause !== undefined) return `${asked} ${cause}`;
  if (facts.message === undefined) return `${asked}${senderHint(facts)}`;
  if (facts.message === '' || isMissingPermission(facts.message)) return notPermitted(context);
  return (
    `${asked} No permission is missing, so an admission plugin of the cluster refuses it. The API server's audit log, or ` +
    `the same request by kubectl, shows why.`
  );
}

/** The hint for an answer that may not be the API server's. */
function senderHint({ message }: StatusFacts): string {
  return message === undefined
    ? ` The answer is not in the API server's format, so it may come from a proxy or gateway on the way.`
    : '';
}

function notPermitted(context: RequestContext): string {
  const { verb, resource, name, namespace } = context;
  if (isAboutAll(context)) {
    const where = namespace === '' ? 'all namespaces' : `namespace '${namespace}'`;
    return (
      `The API server does not permit ${verb} on ${fullNameOf(resource)} in ${where} (403). Name one object, or grant it by ` +
      `this rule in a ${namespace === '' ? 'ClusterRole' : 'Role of that namespace'}, bound to whoever asks:\n` +
      ruleFor(resource, [], ['list', 'watch'])
    );
  }
  // The name of the leader's Pod is not known in advance, so a Role cannot contain it; a new object has no name yet.
  const names = resource === LEASES ? [name] : [];
  const which = name === '' ? '' : ` '${name}'`;
  return (
    `The API server does not permit ${verb} on ${fullNameOf(resource)}${which} in namespace '${namespace}' ` +
    `(403). Grant it by this rule in a Role of that namespace, bound to the service account of this pod:\n` +
    ruleFor(resource, names)
  );
}

function hintFor(code: string): string {
  if (code.startsWith('PROXY_'))
    return `The proxy refused the connection: check its address, user and password in proxy-url or HTTPS_PROXY.`;
  if (/CERT|SIGNED|VERIFY|SSL|TLS/.test(code)) {
    return `Its certificate is not trusted: check certificate-authority and tls-server-name in the kubeconfig.`;
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `Its name does not resolve: check the server's address.`;
  if (code === 'ECONNREFUSED') return `Nothing listens there: is it running, and is the address right?`;
  return `Is the network path to it broken?`;
}

function describe(context: RequestContext): string {
  const { resource, name, namespace } = context;
  if (isAboutAll(context))
    return `${resource.plural} in ${namespace === '' ? 'all namespaces' : `namespace '${namespace}'`}`;
  if (name === '') return `an ${resource.singular} in namespace '${namespace}'`;
  return `${resource.singular} '${namespace}/${name}'`;
}

/** Whether a request is about all objects of a kind. */
function isAboutAll({ verb, name }: RequestContext): boolean {
  return name === '' && (verb === 'list' || verb === 'watch');
}

function isWrite({ verb }: RequestContext): boolean {
  return verb !== 'get' && verb !== 'list' && verb !== 'watch';
}

/** A code, such as ECONNRESET, says more than the name, which is usually just Error. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
