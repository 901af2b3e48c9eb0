/** The cause of a refusal, recognised by the texts in the API server's sources. */
import { describe, expect, it } from 'vitest';
import type { LeaderErrorCode } from '../../lib/election/index.js';
import { refusal, type RequestContext } from '../../lib/kubernetes/request-errors.js';
import { EVENTS, LEASES, PODS } from '../../lib/kubernetes/resources.js';

const updating: RequestContext = { verb: 'update', resource: LEASES, name: 'billing', namespace: 'shop' };
const creating: RequestContext = { ...updating, verb: 'create' };
const reading: RequestContext = { ...updating, verb: 'get' };
const recording: RequestContext = { verb: 'create', resource: EVENTS, name: '', namespace: 'shop' };
const labelling: RequestContext = { verb: 'patch', resource: PODS, name: 'web-0', namespace: 'shop' };

const LEASE = 'leases.coordination.k8s.io "billing"';
const USER = 'system:serviceaccount:shop:web';

function refused(status: number, message: string, context: RequestContext, more: object = {}) {
  const text = JSON.stringify({ kind: 'Status', status: 'Failure', message, code: status, ...more });
  return refusal({ status, headers: {}, text }, context);
}

const RULE = /by this rule in a Role/;

describe('a missing permission', () => {
  it.each<[string, string, RequestContext]>([
    [
      'by RBAC',
      `${LEASE} is forbidden: User "${USER}" cannot update resource "leases" in API group "coordination.k8s.io" in the namespace "shop"`,
      updating,
    ],
    [
      'by another authorizer, with a longer text',
      `${LEASE} is forbidden: User "${USER}" cannot get resource "leases" in API group "coordination.k8s.io" in the namespace "shop": requires one of ["container.leases.get"] permission(s).`,
      reading,
    ],
    [
      'of a user with a quote in its name',
      `${LEASE} is forbidden: User "a\\" quota" cannot get resource "leases" in API group "coordination.k8s.io" in the namespace "shop"`,
      reading,
    ],
    [
      'on an Event',
      `events is forbidden: User "${USER}" cannot create resource "events" in API group "" in the namespace "shop"`,
      recording,
    ],
    [
      'on a Pod',
      `pods "web-0" is forbidden: User "${USER}" cannot patch resource "pods" in API group "" in the namespace "shop"`,
      labelling,
    ],
  ])('%s gives an error with the rule that grants it', (_, message, context) => {
    const error = refused(403, message, context, { reason: 'Forbidden' });
    expect(error.code).toBe('LEADER_FORBIDDEN');
    expect(error.message).toMatch(RULE);
  });
});

describe('a refusal that no Role changes', () => {
  const spoken = 'hunter2 cannot update resource "leases" because it is being terminated';
  const policy = `ValidatingAdmissionPolicy 'no-leases' with binding 'everywhere' denied request: ${spoken}`;
  it.each<[string, number, string, RequestContext, LeaderErrorCode, RegExp]>([
    [
      'a quota that is used up',
      403,
      `${LEASE} is forbidden: exceeded quota: objects, requested: count/leases.coordination.k8s.io=1, used: count/leases.coordination.k8s.io=3, limited: count/leases.coordination.k8s.io=3`,
      creating,
      'LEADER_FORBIDDEN',
      /quota 'objects'.*kubectl describe resourcequota -n shop/s,
    ],
    [
      'a path that leads to no Lease',
      403,
      `forbidden: User "${USER}" cannot put path "/prefix/apis/coordination.k8s.io/v1/namespaces/shop/leases/billing"`,
      updating,
      'LEADER_FORBIDDEN',
      /not .* request for a lease\. Is the path in the server's URL right/,
    ],
    [
      'a path that leads to no Lease, without credentials',
      403,
      `forbidden: User "system:anonymous" cannot get path "/prefix/apis"`,
      reading,
      'LEADER_FORBIDDEN',
      /Is the path in the server's URL right/,
    ],
    [
      'a quota that cannot be evaluated',
      403,
      `${LEASE} is forbidden: failed quota: objects: must specify limits.cpu`,
      creating,
      'LEADER_FORBIDDEN',
      /quota 'objects'/,
    ],
    [
      'a quota that was never counted',
      403,
      `${LEASE} is forbidden: status unknown for quota: objects, resources: count/leases.coordination.k8s.io`,
      creating,
      'LEADER_FORBIDDEN',
      /quota 'objects'/,
    ],
    [
      'a quota without a name',
      403,
      `${LEASE} is forbidden: insufficient quota to consume: count/leases.coordination.k8s.io`,
      creating,
      'LEADER_FORBIDDEN',
      /A quota of the namespace/,
    ],
    [
      'a webhook',
      403,
      `admission webhook "validate.leases.example.com" denied the request: ${spoken}`,
      updating,
      'LEADER_FORBIDDEN',
      /admission webhook 'validate\.leases\.example\.com' denied/,
    ],
    [
      'a webhook that gives neither a reason nor a code',
      400,
      'admission webhook "validate.leases.example.com" denied the request without explanation',
      updating,
      'LEADER_REQUEST_INVALID',
      /admission webhook 'validate\.leases\.example\.com' denied/,
    ],
    [
      'a webhook that answers as if the object were invalid',
      422,
      `admission webhook "validate.leases.example.com" denied the request: ${spoken}`,
      updating,
      'LEADER_REQUEST_INVALID',
      /admission webhook 'validate\.leases\.example\.com' denied/,
    ],
    [
      'a policy',
      403,
      `${LEASE} is forbidden: ${policy}`,
      updating,
      'LEADER_FORBIDDEN',
      /admission policy 'no-leases' denied/,
    ],
    [
      'a policy with the usual code',
      422,
      `${LEASE} is forbidden: ${policy}`,
      updating,
      'LEADER_REQUEST_INVALID',
      /admission policy 'no-leases' denied/,
    ],
    [
      'a policy without a binding',
      422,
      `${LEASE} is forbidden: ValidatingAdmissionPolicy 'no-leases' denied request: failed to configure policy: hunter2`,
      updating,
      'LEADER_REQUEST_INVALID',
      /admission policy 'no-leases' denied/,
    ],
    [
      'a mutating policy',
      403,
      `policy 'set-labels' with binding 'everywhere' denied request: hunter2`,
      updating,
      'LEADER_FORBIDDEN',
      /admission policy 'set-labels' denied/,
    ],
    [
      'a namespace that is being deleted',
      403,
      `${LEASE} is forbidden: unable to create new content in namespace shop because it is being terminated`,
      creating,
      'LEADER_FORBIDDEN',
      /namespace 'shop' is being deleted/,
    ],
    [
      'an API server that is starting',
      403,
      `${LEASE} is forbidden: not yet ready to handle request`,
      creating,
      'LEADER_FORBIDDEN',
      /API server is still starting/,
    ],
    [
      'a user who may not be impersonated',
      403,
      `users "root" is forbidden: User "${USER}" cannot impersonate resource "users" in API group "" at the cluster scope`,
      updating,
      'LEADER_FORBIDDEN',
      /impersonat/,
    ],
    [
      'a user who may not be impersonated in this way',
      403,
      `users.authentication.k8s.io "root" is forbidden: User "${USER}" cannot impersonate:user-info resource "users" in API group "authentication.k8s.io" at the cluster scope: deny by default`,
      updating,
      'LEADER_FORBIDDEN',
      /impersonat/,
    ],
    [
      'a request without credentials',
      403,
      `${LEASE} is forbidden: User "system:anonymous" cannot get resource "leases" in API group "coordination.k8s.io" in the namespace "shop"`,
      reading,
      'LEADER_FORBIDDEN',
      /no credentials/,
    ],
    [
      'an unknown admission plugin',
      403,
      `${LEASE} is forbidden: admission control is denying all modifications`,
      updating,
      'LEADER_FORBIDDEN',
      /an admission plugin/,
    ],
  ])('%s (%i)', (_, status, message, context, code, says) => {
    const error = refused(status, message, context, { reason: 'Forbidden' });
    expect(error).toMatchObject({ code, maybeCommitted: false });
    expect(error.message).toMatch(says);
    expect(error.message).not.toMatch(RULE);
    expect(error.message).not.toContain('hunter2');
  });

  it("a page of a proxy is not taken for the API server's answer", () => {
    for (const [status, context] of [
      [403, updating],
      [401, reading],
      [429, updating],
    ] as const) {
      const { message } = refusal({ status, headers: {}, text: '<html>hunter2</html>' }, context);
      if (status !== 429) expect(message).toMatch(/a proxy or gateway/);
      expect(message).not.toMatch(/hunter2|by this rule of a Role/);
    }
  });

  it('passes on no invalid name', () => {
    for (const name of ['a\nERROR hunter2', 'Bearer hunter2', 'x'.repeat(300), '']) {
      const { message } = refused(
        403,
        `admission webhook ${JSON.stringify(name)} denied the request: no`,
        updating,
      );
      expect(message).toMatch(/An admission webhook denied/);
      expect(message).not.toMatch(/hunter2|xxx|\n/);
    }
  });
});

describe('other answers', () => {
  it.each<[string, number, string, RequestContext, LeaderErrorCode, RegExp]>([
    [
      'a webhook that does not answer the API server',
      500,
      'Internal error occurred: failed calling webhook "validate.leases.example.com": failed to call webhook: Post "https://hunter2.svc": context deadline exceeded',
      updating,
      'LEADER_SERVER_ERROR',
      /admission webhook 'validate\.leases\.example\.com'.*does not answer/,
    ],
    [
      'etcd out of space',
      500,
      'etcdserver: mvcc: database space exceeded',
      updating,
      'LEADER_SERVER_ERROR',
      /etcd has no space left/,
    ],
    [
      'a cache that is being filled',
      429,
      'storage is (re)initializing',
      reading,
      'LEADER_THROTTLED',
      /still starting \(429\)/,
    ],
    [
      'the rate limit of Events',
      429,
      'limit reached on type Namespace for key shop',
      recording,
      'LEADER_THROTTLED',
      /rate limit for Events/,
    ],
    [
      'a request that is too large',
      413,
      'Request entity too large: limit is 3145728',
      updating,
      'LEADER_REQUEST_INVALID',
      /too large/,
    ],
    [
      'a change by another client',
      409,
      'Operation cannot be fulfilled on pods "web-0": the object has been modified',
      labelling,
      'LEADER_SERVER_ERROR',
      /Another client changed the object/,
    ],
  ])('%s (%i)', (_, status, message, context, code, says) => {
    const error = refused(status, message, context);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(says);
    expect(error.message).not.toContain('hunter2');
  });

  it('a message that is not a string is ignored', () => {
    for (const message of [7, null, {}, ['being terminated']]) {
      const text = JSON.stringify({ kind: 'Status', reason: 'Forbidden', message });
      expect(refusal({ status: 403, headers: {}, text }, updating).message).toMatch(RULE);
    }
  });

  it('only the beginning of a long message is read', () => {
    const message = `${LEASE} is forbidden: ${'"'.repeat(3_000_000)}`;
    expect(refused(403, message, updating).code).toBe('LEADER_FORBIDDEN');
  });
});
