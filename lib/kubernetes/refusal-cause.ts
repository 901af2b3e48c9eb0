import type { RequestContext } from './request-errors.js';

/** One cause of a refusal. */
interface Cause {
  /** How the text begins. The group is the name of the webhook, policy or quota that refused. */
  readonly words: RegExp;
  /** The cause in our words. */
  readonly means: (name: string | undefined, context: RequestContext) => string;
}

const deniedBy = (what: string, name: string | undefined): string =>
  `${name === undefined ? `An ${what}` : `The ${what} '${name}'`} denied the request. No Role changes that: ask who runs it ` +
  `to let this request pass.`;

const byQuota = (name: string | undefined, { namespace }: RequestContext): string =>
  `${name === undefined ? 'A quota of the namespace' : `The quota '${name}'`} does not allow it. No Role changes that: look at ` +
  `kubectl describe resourcequota -n ${namespace}, and raise it or delete what is not needed.`;

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
      `The namespace '${namespace}' is being deleted, so nothing can be made in it.`,
  },
  {
    words: /^(?:not yet ready to handle request|storage is \(re\)initializing)/,
    means: () => `The API server is still starting.`,
  },
  {
    words: /^User "(?:[^"\\]|\\.)*" cannot \w+ path "/,
    means: (_, { resource }) =>
      `It does not take this for a request about a ${resource.singular}. Is the path in the server's URL right?`,
  },
  {
    words: /^User "system:anonymous" cannot /,
    means: () =>
      `It takes this process for an anonymous user, so no credentials reached it. Does the kubeconfig's user, or the ` +
      `option kubernetes, name any? Does a proxy on the way drop the Authorization header?`,
  },
  {
    words: /^User "(?:[^"\\]|\\.)*" cannot impersonate/,
    means: () =>
      `The kubeconfig's user asks to act as another one (as), and is not permitted to impersonate it. Grant the verb ` +
      `impersonate in a ClusterRole, or leave the impersonation out.`,
  },
  {
    words: /^limit reached on type /,
    means: () => `The API server limits the rate of Events, and that is reached.`,
  },
  {
    words: /^(?:Internal error occurred: )?failed calling webhook "([^"]*)"/,
    means: (name) =>
      `${name === undefined ? 'An admission webhook' : `The admission webhook '${name}'`} does not answer the API server, which must ` +
      `ask it. Look at the webhook's own pods and Service, or exempt this kind of object in its configuration.`,
  },
  {
    words: /^(?:rpc error: [^:]*: )?(?:[^:]*desc = )?etcdserver: mvcc: database space exceeded/,
    means: () =>
      `The API server's etcd has no space left, so it stores nothing. Compact and defragment it, or raise its quota, then ` +
      `disarm its alarm.`,
  },
];

/**
 * Who or what refused the request, as a sentence; undefined if the text begins with none of the known texts. Nothing of the text is
 * passed on except the name of a webhook, a policy or a quota, if it is a valid name.
 */
export function causeOf(text: string, context: RequestContext): string | undefined {
  const said = withoutObject(text);
  for (const { words, means } of causes) {
    const found = words.exec(said);
    if (found !== null) return means(asName(found[1]), context);
  }
  return undefined;
}

/** Whether an authorizer refused, RBAC or another one: all their refusals have the same form. */
export function isMissingPermission(text: string): boolean {
  return /^User "(?:[^"\\]|\\.)*" cannot /.test(withoutObject(text));
}

/** The text after `leases.coordination.k8s.io "billing" is forbidden: ` or, if it is not about an object, after `forbidden: `. */
function withoutObject(text: string): string {
  const said = text.slice(0, LONGEST_READ);
  const [, rest = said] = /^(?:[\w.-]+(?: "[^"]*")? is )?forbidden: (.*)$/s.exec(said) ?? [];
  return rest;
}

const LONGEST_READ = 4_096;

/** Any other text may be forged, and must not get into our log. */
function asName(text: string | undefined): string | undefined {
  return text !== undefined && /^[a-z0-9][a-z0-9.-]{0,99}$/.test(text) ? text : undefined;
}
