/** Who is let in, and what each user may do. */
import type { IncomingMessage } from 'node:http';
import { isObject } from './lease-reader.js';
import { verbOf, type LeaseTarget, type LeaseVerb } from './routes.js';
import {
  GROUP,
  failed,
  forbidden,
  objectReply,
  refuseViolations,
  type Access,
  type Reply,
} from './status.js';

/** What a user may do with Leases. A request is allowed when one rule allows it. */
export interface AccessRule {
  readonly user: string;
  /** `*`: every verb. */
  readonly verbs: readonly (LeaseVerb | '*')[];
  /**
   * Only these Leases. As in a Role, this never allows a request that names no Lease: create by POST, deletecollection, and list
   * and watch without a field selector for the name. Default: every Lease.
   */
  readonly resourceNames?: readonly string[] | undefined;
  /** Default: every namespace. */
  readonly namespace?: string | undefined;
}

/** Who asks. */
export interface RequestUser {
  /** The name by which the API server knows the user; `system:anonymous` without a token. */
  readonly user: string;
  /** The bearer token as it was sent. */
  readonly token: string | undefined;
}

/** A user and the request of this user. */
export type Subject = RequestUser & LeaseTarget;

/** The name of a user who sends no token. */
const ANONYMOUS = 'system:anonymous';

/** What everybody may read, as in every cluster. */
const publicPaths = ['/readyz', '/livez', '/healthz', '/version', '/version/'];

/** Where users ask what they may do. */
const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

/** Decides who may do what, by bearer tokens and by rules like those of a Role. */
export class AccessControl {
  readonly #tokens: ReadonlyMap<string, string> | undefined;

  /** Without tokens each token is the name of its user; without rules every known user may do everything. */
  constructor(
    tokens: Readonly<Record<string, string>> | undefined,
    private readonly rules: readonly AccessRule[] | undefined,
  ) {
    this.#tokens = tokens === undefined ? undefined : new Map(Object.entries(tokens));
  }

  /** Finds the user of a request. `isRefused`: the request has a token that belongs to no user. */
  authenticate(authorization = ''): RequestUser & { readonly isRefused: boolean } {
    const [scheme = '', token = ''] = authorization.trim().split(' ');
    if (scheme.toLowerCase() !== 'bearer' || token === '')
      return { user: ANONYMOUS, token: undefined, isRefused: false };
    const user = this.#tokens === undefined ? token : this.#tokens.get(token);
    return { user: user ?? ANONYMOUS, token, isRefused: user === undefined };
  }

  /** @throws StatusError 403 */
  authorize(access: Access): void {
    if (!this.#allows(access)) throw forbidden(access);
  }

  /**
   * Authorizes what is not about Leases: discovery is for every known user, other resources are for administrators.
   *
   * @throws StatusError 403
   */
  authorizeOther(user: string, method: string, path: string): void {
    if (publicPaths.includes(path)) return;
    const match = /^\/apis\/([^/]+)\/[^/]+\/(?:namespaces\/([^/]+)\/)?([^/]+)(?:\/([^/]+))?/.exec(path);
    const isForUsers = match === null || path === REVIEWS;
    if (isForUsers ? this.#isKnown(user) : this.#isAdministrator(user)) return;
    const what = method.toLowerCase();
    if (match === null) throw failed(403, `forbidden: User "${user}" cannot ${what} path "${path}"`, {});
    const [, group = '', namespace = '', kind = '', name = ''] = match;
    const verb = verbOf(method, name !== '') ?? what;
    throw forbidden({ user, verb, namespace, name }, { group, kind });
  }

  /**
   * Answers a SelfSubjectAccessReview, by which users ask what they may do. Undefined when the request is for something else.
   *
   * @throws StatusError 405, 422, and what `readSent` throws
   */
  answerReview(user: string, method: string, path: string, readSent: () => unknown): Reply | undefined {
    if (path !== REVIEWS) return undefined;
    if (method !== 'POST') throw failed(405, 'only POST is served here', {});
    const group = 'authorization.k8s.io';
    const sent = readSent();
    const spec = isObject(sent) && isObject(sent['spec']) ? sent['spec'] : {};
    const asked = spec['resourceAttributes'];
    if (!isObject(asked)) {
      refuseViolations({ group }, [['spec.resourceAttributes', 'Invalid', 'must be specified']]);
      return undefined;
    }
    const text = (name: string): string => (typeof asked[name] === 'string' ? asked[name] : '');
    const access = { user, verb: text('verb'), namespace: text('namespace'), name: text('name') };
    const isAboutLeases = asked['group'] === GROUP && asked['resource'] === 'leases';
    const allowed = isAboutLeases ? this.#allows(access) : this.#isAdministrator(user);
    const kind = 'SelfSubjectAccessReview';
    return objectReply(201, { kind, apiVersion: `${group}/v1`, metadata: {}, spec, status: { allowed } });
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
    return this.#hasRule(user, (rule) => rule.verbs.includes('*') && rule.resourceNames === undefined);
  }

  #hasRule(user: string, allows: (rule: AccessRule) => boolean): boolean {
    return this.rules?.some((rule) => rule.user === user && allows(rule)) ?? this.#isKnown(user);
  }

  #isKnown(user: string): boolean {
    return this.#tokens === undefined || user !== ANONYMOUS;
  }
}

/**
 * Refuses the requests that a web page of another site can make a browser on this machine send: to a host name that resolves to
 * the loopback interface (DNS rebinding), and from another origin. Only browsers send `Origin` and `Sec-Fetch-Site`. A GET for an
 * image has no `Origin`, but has `Sec-Fetch-Site`.
 *
 * @throws StatusError 400, 403
 */
export function refuseWebPages({ headers, socket }: IncomingMessage): void {
  const { host, origin, 'sec-fetch-site': site } = headers;
  if (host !== undefined && !isLoopback(host)) {
    throw failed(
      400,
      `the Host header is ${JSON.stringify(host)}: this server answers only on the loopback interface, so the host must be localhost, 127.0.0.1 or another loopback name or address`,
    );
  }
  const own = `${'encrypted' in socket ? 'https' : 'http'}://${String(host)}`;
  const isForeign = origin !== undefined && origin.toLowerCase() !== own.toLowerCase();
  if (isForeign || site === 'cross-site' || site === 'same-site')
    throw failed(403, `this server takes no requests from web pages of another origin than ${own}`);
}

function isLoopback(host: string): boolean {
  // URL reads hosts as browsers do: `127.1` is 127.0.0.1.
  const url = `http://${host}`;
  const { hostname } = URL.canParse(url) ? new URL(url) : { hostname: '' };
  return /^(?:127\.\d+\.\d+\.\d+|\[::1\]|(?:.+\.)?localhost)$/.test(hostname);
}
