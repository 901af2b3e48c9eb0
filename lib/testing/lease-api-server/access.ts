/** Who is let in, and what each user may do and may ask about itself. */
import type { IncomingMessage } from 'node:http';
import { isObject } from './lease-reader.js';
import { verbOf, type LeaseVerb, type Target } from './routes.js';
import { GROUP, failed, forbidden, requireRules, objectReply, type Access, type Reply } from './status.js';

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

/** Who asks. */
export interface RequestUser {
  /** The name the API server knows the user by; `system:anonymous` without a token. */
  readonly user: string;
  /** The bearer token as it was sent. */
  readonly token: string | undefined;
}

/** The name of a user who sends no token. */
const ANONYMOUS = 'system:anonymous';

/** What anybody may read, as in every cluster. */
const publicPaths = ['/readyz', '/livez', '/healthz', '/version', '/version/'];

/** Where users ask what they may do. */
const ACCESS_REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

/** Where users ask who they are. */
const SELF_REVIEWS = '/apis/authentication.k8s.io/v1/selfsubjectreviews';

/** Decides who may do what, by bearer tokens and by rules like those of a Role. */
export class AccessControl {
  readonly #tokens: ReadonlyMap<string, string> | undefined;
  readonly #rules: readonly AccessRule[] | undefined;

  /** Without tokens each token is the name of its user; without rules every known user may do everything. */
  constructor(
    tokens: Readonly<Record<string, string>> | undefined,
    rules: readonly AccessRule[] | undefined,
  ) {
    this.#tokens = tokens === undefined ? undefined : new Map(Object.entries(tokens));
    this.#rules = rules;
  }

  /** Tells who asks; `isRefused` when nobody has the token. */
  authenticate(authorization = ''): RequestUser & { readonly isRefused: boolean } {
    const [scheme = '', token = ''] = authorization.trim().split(' ');
    if (scheme.toLowerCase() !== 'bearer' || token === '')
      return { user: ANONYMOUS, token: undefined, isRefused: false };
    const user = this.#tokens === undefined ? token : this.#tokens.get(token);
    return { user: user ?? ANONYMOUS, token, isRefused: user === undefined };
  }

  /** @throws StatusError 403 */
  authorize(user: string, target: Target, method: string): void {
    if (target.kind === 'other') this.#authorizeOther(user, target.path, method);
    else this.requireLeaseAccess({ ...target, user, verb: target.permission });
  }

  /** @throws StatusError 403 */
  requireLeaseAccess(access: Access): void {
    if (!this.#allows(access)) throw forbidden(access);
  }

  /** Answers what users may ask about themselves: what they may do, who they are. Undefined when it is something else. */
  answerReview(user: string, method: string, path: string, readSent: () => unknown): Reply | undefined {
    if (path !== ACCESS_REVIEWS && path !== SELF_REVIEWS) return undefined;
    if (method !== 'POST') throw failed(405, 'only POST is served here', {});
    const sent = readSent();
    if (path === SELF_REVIEWS) {
      const groups = [user === ANONYMOUS ? 'system:unauthenticated' : 'system:authenticated'];
      const status = { userInfo: { username: user, groups } };
      const apiVersion = 'authentication.k8s.io/v1';
      return objectReply(201, { kind: 'SelfSubjectReview', apiVersion, metadata: {}, status });
    }
    const group = 'authorization.k8s.io';
    if (!isObject(sent)) throw failed(400, 'the body is not a SelfSubjectAccessReview');
    const spec = isObject(sent['spec']) ? sent['spec'] : {};
    const asked = spec['resourceAttributes'] as
      (Partial<Access> & { group?: string; resource?: string }) | null;
    requireRules({ group }, [[isObject(asked), 'spec.resourceAttributes', 'Invalid', 'must be specified']]);
    const { namespace = '', verb = '', name = '' } = asked ?? {};
    const isAboutLeases = asked?.group === GROUP && asked.resource === 'leases';
    const allowed = isAboutLeases
      ? this.#allows({ user, verb, namespace, name })
      : this.#isAdministrator(user);
    const status = { allowed, ...(allowed && { reason: 'allowed by the rules of this server' }) };
    const kind = 'SelfSubjectAccessReview';
    return objectReply(201, { kind, apiVersion: `${group}/v1`, metadata: {}, spec, status });
  }

  #allows({ user, verb, namespace, name }: Access): boolean {
    return this.#hasRule(
      user,
      (rule) =>
        rule.verbs.some((allowed) => allowed === '*' || allowed === verb) &&
        (rule.namespace === undefined || rule.namespace === namespace) &&
        (rule.resourceNames === undefined || rule.resourceNames.includes(name)),
    );
  }

  /** Whether the user may do everything. */
  #isAdministrator(user: string): boolean {
    return this.#hasRule(
      user,
      ({ verbs, resourceNames }) => verbs.includes('*') && resourceNames === undefined,
    );
  }

  #hasRule(user: string, allows: (rule: AccessRule) => boolean): boolean {
    return this.#rules?.some((rule) => rule.user === user && allows(rule)) ?? this.#isKnown(user);
  }

  #isKnown(user: string): boolean {
    return this.#tokens === undefined || user !== ANONYMOUS;
  }

  /** What is not about Leases: everybody may ask for what is public, users for themselves, administrators for all. */
  #authorizeOther(user: string, path: string, method: string): void {
    if (publicPaths.includes(path)) return;
    const match = /^\/apis\/([^/]+)\/[^/]+\/(?:namespaces\/([^/]+)\/)?([^/]+)(?:\/([^/]+))?/.exec(path);
    const isForUsers = match === null || path === ACCESS_REVIEWS || path === SELF_REVIEWS;
    if (isForUsers ? this.#isKnown(user) : this.#isAdministrator(user)) return;
    if (match === null)
      throw failed(403, `forbidden: User "${user}" cannot ${method.toLowerCase()} path "${path}"`, {});
    const [, group = '', namespace = '', kind = '', name = ''] = match;
    throw forbidden({ user, verb: verbOf(method, name !== ''), namespace, name }, { group, kind });
  }
}

/**
 * Refuses what a web page of another site can make a browser on this machine send: requests under a host name that the site
 * points at the loopback interface (DNS rebinding), and requests of another origin. Only browsers send `Origin` and
 * `Sec-Fetch-Site`; a page's GET without an `Origin`, such as that of an image, has the latter.
 *
 * @throws StatusError 400, 403
 */
export function refuseWebPages({ headers, socket }: IncomingMessage): void {
  const { host, origin } = headers;
  if (host !== undefined && !isLoopback(host)) {
    throw failed(
      400,
      `the Host header is ${JSON.stringify(host)}: this server answers only on the loopback interface, so the host must be localhost, 127.0.0.1 or another loopback name or address`,
    );
  }
  const rule = 'web pages of another origin than the server’s own may not use it';
  const site = headers['sec-fetch-site'];
  if (site === 'cross-site' || site === 'same-site')
    throw failed(403, `the Sec-Fetch-Site header is ${site}: ${rule}`);
  const own = `${'encrypted' in socket ? 'https' : 'http'}://${String(host)}`;
  if (origin !== undefined && origin.toLowerCase() !== own.toLowerCase())
    throw failed(403, `the Origin header is ${JSON.stringify(origin)}: ${rule}`);
}

function isLoopback(host: string): boolean {
  // Read as browsers read it: `127.1` is 127.0.0.1.
  const url = `http://${host}`;
  const { hostname } = URL.canParse(url) ? new URL(url) : { hostname: '' };
  return /^(?:127\.\d+\.\d+\.\d+|\[::1\]|(?:.+\.)?localhost)$/.test(hostname);
}
