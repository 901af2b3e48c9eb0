import type { RequestContext } from './request-errors.js';

/** A cause of refusals. */
interface Cause {
  /** Matches the beginning of the text. The group is the name of the webhook, policy or quota that refused. */
  readonly words: RegExp;
  /** The cause as a sentence. */
  readonly means: (name: string | undefined, context: RequestContext) => string;
}

const deniedBy = (what: string, name: string | undefined): string =>
  `${name === undefined ? `An ${what}` : `The ${what} '${name}'`} denied the request. No Role changes that: ask its ` +
  `owner to allow this request.`;

const byQuota = (name: string | undefined, { namespace }: RequestContext): string =>
  `${name === undefined ? 'A quota of the namespace' : `The quota '${name}'`} does not allow the request. No Role changes ` +
  `that: see kubectl describe resourcequota -n ${namespace}, then raise the quota or delete what is not needed.`;

/**
 * The texts of Kubernetes 1.36. A webhook or a policy appends words of its own, so only the beginning is compared.
 *
 * @see https://github.com/kubernetes/kubernetes/tree/v1.36.3/staging/src/k8s.io/apiserver/pkg/admission
 * and pkg/endpoints/handlers/responsewriters/errors.go, pkg/storage/cacher/ready.go there;
 * plugin/pkg/admission/eventratelimit
 */
const causes: readonly Cause[] = [
  {
    words: /^admission webhook "([^"]*)" denied the request/,
    means: (name) => deniedBy('admission webhook', name),
  },
  {
    words: /^ValidatingAdmissionPolicy '([^']*)'/,
    means: (name) => deniedBy('admission policy', name),
  },
  {
    words: /^policy ['"]([^'"]*)['"] .*?denied request/,
    means: (name) => deniedBy('admission policy', name),
  },
  { words: /^(?:exceeded|failed) quota: ([^,:\s]*)/, means: byQuota },
  { words: /^status unknown for quota: ([^,:\s]*)/, means: byQuota },
  { words: /^(?:insufficient quota to|quota usage is negative)/, means: byQuota },
  {
    words: /^unable to create new content in namespace \S* because it is being terminated/,
    means: (_, { namespace }) =>
      `The namespace '${namespace}' is being deleted, so nothing can be created in it.`,
  },
  {
    words: /^(?:not yet ready to handle request|storage is \(re\)initializing)/,
    means: () => `The API server is still starting.`,
  },
  {
    words: /^User "(?:[^"\\]|\\.)*" cannot \w+ path "/,
    means: (_, { resource }) =>
      `The API server does not see this as a request for a ${resource.singular}. Is the path in the server's URL right?`,
  },
  {
    words: /^User "system:anonymous" cannot /,
    means: () =>
      `The API server sees an anonymous user, so it received no credentials. Does the kubeconfig's user, or the ` +
      `option kubernetes, name any? Does a proxy on the way drop the Authorization header?`,
  },
  {
    words: /^User "(?:[^"\\]|\\.)*" cannot impersonate/,
    means: () =>
      `The kubeconfig's user may not impersonate the user that it names (as). Grant the verb impersonate in a ` +
      `ClusterRole, or remove the impersonation.`,
  },
  {
    words: /^limit reached on type /,
    means: () => `The API server's rate limit for Events is reached.`,
  },
  {
    words: /^(?:Internal error occurred: )?failed calling webhook "([^"]*)"/,
    means: (name) =>
      `${name === undefined ? 'An admission webhook' : `The admission webhook '${name}'`} does not answer the API server. Check ` +
      `the webhook's pods and Service, or exempt this kind of object in its configuration.`,
  },
  {
    words: /^(?:rpc error: [^:]*: )?(?:[^:]*desc = )?etcdserver: mvcc: database space exceeded/,
    means: () =>
      `The API server's etcd has no space left, so nothing can be stored. Compact and defragment it, or raise its ` +
      `quota, then disarm its alarm.`,
  },
];

/**
 * A sentence on who or what refused the request; undefined if the text does not begin with a known one. Of the text,
 * only the name of a webhook, a policy or a quota is passed on, if it is a valid name.
 */
export function causeOf(text: string, context: RequestContext): string | undefined {
  const said = withoutObject(text);
  for (const { words, means } of causes) {
    const found = words.exec(said);
    if (found !== null) return means(asName(found[1]), context);
  }
  return undefined;
}

/** Whether an authorizer refused. RBAC and all other authorizers use the same words. */
export function isMissingPermission(text: string): boolean {
  return /^User "(?:[^"\\]|\\.)*" cannot /.test(withoutObject(text));
}

/**
 * Removes `leases.coordination.k8s.io "billing" is forbidden: ` from the beginning or, if the text is not about an
 * object, `forbidden: `.
 */
function withoutObject(text: string): string {
  const said = text.slice(0, LONGEST_READ);
  const [, rest = said] = /^(?:[\w.-]+(?: "[^"]*")? is )?forbidden: (.*)$/s.exec(said) ?? [];
  return rest;
}

const LONGEST_READ = 4_096;

/** Other text may be forged, and must not reach the log. */
function asName(text: string | undefined): string | undefined {
  return text !== undefined && /^[a-z0-9][a-z0-9.-]{0,99}$/.test(text) ? text : undefined;
}
