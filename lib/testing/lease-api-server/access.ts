import type { LeaseVerb, RequestUser, Target } from './api-request.js';
import { ACCESS_REVIEWS, SELF_REVIEWS } from './review-paths.js';
import { RESOURCE, forbidden } from './status.js';

/** What a user may do with Leases. A request is allowed when one rule allows it. */
export interface AccessRule {
  readonly user: string;
  /** `*`: every verb. */
  readonly verbs: readonly (LeaseVerb | '*')[];
  /**
   * Only these Leases. As in a Role, this never allows what names no Lease: create by POST, deletecollection, list and
   * watch without a field selector for the name. Default: every Lease.
   */
  readonly resourceNames?: readonly string[] | undefined;
  /** Default: every namespace. */
  readonly namespace?: string | undefined;
}

/** What somebody wants to do with Leases. */
export interface LeaseAccess {
  readonly user: string;
  readonly verb: string;
  readonly namespace: string;
  readonly name: string;
}

/** The name of a user who sends no token. */
export const ANONYMOUS = 'system:anonymous';

/** What anybody may read, as in every cluster. */
const publicPaths = ['/readyz', '/livez', '/healthz', '/version', '/version/'];

/** What users may ask about themselves. */
const selfReviews = [ACCESS_REVIEWS, SELF_REVIEWS];

/** Decides who may do what, by bearer tokens and by rules like those of a Role. */
export class AccessControl {
  readonly #tokens: ReadonlyMap<string, string> | undefined;
  readonly #rules: readonly AccessRule[] | undefined;

  /** Without tokens everybody is who the token says; without rules every known user may do everything. */
  constructor(
    tokens: Readonly<Record<string, string>> | undefined,
    rules: readonly AccessRule[] | undefined,
  ) {
    this.#tokens = tokens === undefined ? undefined : new Map(Object.entries(tokens));
    this.#rules = rules;
  }

  /** Tells who asks; `isRefused` when there is a token and it is nobody's. */
  authenticate(authorization: string | undefined): RequestUser & { readonly isRefused: boolean } {
    const token = bearerToken(authorization);
    if (token === undefined) return { user: ANONYMOUS, token, isRefused: false };
    const user = this.#tokens === undefined ? token : this.#tokens.get(token);
    return { user: user ?? ANONYMOUS, token, isRefused: user === undefined };
  }

  /** @throws StatusError 403 */
  authorize(user: string, target: Target, method: string): void {
    if (target.kind === 'other') this.#authorizeOther(user, target.path, method);
    else this.requireLeaseAccess({ ...target, user, verb: target.verb ?? verbOfMethod(method, target) });
  }

  /** @throws StatusError 403 */
  requireLeaseAccess(access: LeaseAccess): void {
    if (this.allows(access)) return;
    const { user, verb, namespace, name } = access;
    throw refused(user, verb, { ...RESOURCE, namespace, name });
  }

  /** Whether the user may do everything. */
  isAdministrator(user: string): boolean {
    if (this.#rules === undefined) return this.#isKnown(user);
    return this.#rules.some(
      (rule) => rule.user === user && rule.verbs.includes('*') && rule.resourceNames === undefined,
    );
  }

  allows({ user, verb, namespace, name }: LeaseAccess): boolean {
    if (this.#rules === undefined) return this.#isKnown(user);
    return this.#rules.some(
      (rule) =>
        rule.user === user &&
        rule.verbs.some((allowed) => allowed === '*' || allowed === verb) &&
        (rule.namespace === undefined || rule.namespace === namespace) &&
        (rule.resourceNames === undefined || rule.resourceNames.includes(name)),
    );
  }

  /** What is no Lease: everybody may ask for what is public, users for themselves, administrators for all. */
  #authorizeOther(user: string, path: string, method: string): void {
    if (publicPaths.includes(path)) return;
    const match = /^\/apis\/([^/]+)\/[^/]+\/(?:namespaces\/([^/]+)\/)?([^/]+)(?:\/([^/]+))?/.exec(path);
    const isForUsers = match === null || selfReviews.includes(path);
    if (isForUsers ? this.#isKnown(user) : this.isAdministrator(user)) return;
    if (match === null)
      throw forbidden({}, '', `User "${user}" cannot ${method.toLowerCase()} path "${path}"`);
    const [, group = '', namespace = '', kind = '', name = ''] = match;
    const isOne = name !== '';
    throw refused(user, verbOfMethod(method, { named: isOne }), { group, kind, namespace, name });
  }

  #isKnown(user: string): boolean {
    return this.#tokens === undefined || user !== ANONYMOUS;
  }
}

function refused(
  user: string,
  verb: string,
  { group, kind, namespace, name }: { group: string; kind: string; namespace: string; name: string },
): Error {
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const why = `User "${user}" cannot ${verb} resource "${kind}" in API group "${group}" ${where}`;
  return forbidden({ ...(name === '' ? {} : { name }), group, kind }, name, why);
}

/** An empty token is none; other schemes are nobody's here. */
function bearerToken(authorization = ''): string | undefined {
  const [scheme = '', token = ''] = authorization.trim().split(' ');
  return scheme.toLowerCase() === 'bearer' && token !== '' ? token : undefined;
}

/** What RBAC calls a method. */
function verbOfMethod(method: string, { named }: { readonly named: boolean }): string {
  const read = named ? 'get' : 'list';
  const verbs: Readonly<Record<string, string>> = {
    GET: read,
    HEAD: read,
    POST: 'create',
    PUT: 'update',
    PATCH: 'patch',
    DELETE: named ? 'delete' : 'deletecollection',
  };
  return verbs[method] ?? '';
}
