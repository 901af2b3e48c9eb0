/** What the server answers besides Leases: is it ready, what is it, may I, who am I. */
import { GROUP, badRequest, methodNotAllowed, noSuchResource } from './status.js';
import { ANONYMOUS, type AccessControl } from './access.js';
import { objectReply, textReply, type Reply } from './reply.js';

/** A request that is not about Leases. */
export interface OtherRequest {
  readonly method: string;
  readonly path: string;
  readonly user: string;
  readonly body: string;
}

/** Says to be the version whose behaviour is copied. */
const version = { major: '1', minor: '36', gitVersion: 'v1.36.3', platform: 'linux/amd64' };

const ACCESS_REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
const SELF_REVIEWS = '/apis/authentication.k8s.io/v1/selfsubjectreviews';

const leaseResource = {
  name: 'leases',
  singularName: 'lease',
  namespaced: true,
  kind: 'Lease',
  verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
};

/** @throws StatusError */
export function answerOther(request: OtherRequest, access: AccessControl): Reply {
  if (request.path === ACCESS_REVIEWS) return accessReview(request, access);
  if (request.path === SELF_REVIEWS) return selfReview(request);
  if (request.method !== 'GET') throw isKnown(request.path) ? methodNotAllowed() : noSuchResource();
  switch (request.path) {
    case '/readyz':
    case '/livez':
    case '/healthz':
      return textReply(200, 'ok', { 'X-Content-Type-Options': 'nosniff' });
    case '/version':
      return objectReply(200, version);
    case '/api':
      return objectReply(200, { kind: 'APIVersions', versions: ['v1'] });
    case '/apis':
      return objectReply(200, { kind: 'APIGroupList', apiVersion: 'v1', groups: [leaseGroup()] });
    case `/apis/${GROUP}`:
      return objectReply(200, { kind: 'APIGroup', apiVersion: 'v1', ...leaseGroup() });
    case `/apis/${GROUP}/v1`:
      return objectReply(200, {
        kind: 'APIResourceList',
        apiVersion: 'v1',
        groupVersion: `${GROUP}/v1`,
        resources: [leaseResource],
      });
    case '/api/v1':
      return objectReply(200, { kind: 'APIResourceList', groupVersion: 'v1', resources: [] });
    default:
      throw noSuchResource();
  }
}

function leaseGroup(): object {
  const served = { groupVersion: `${GROUP}/v1`, version: 'v1' };
  return { name: GROUP, versions: [served], preferredVersion: served };
}

function isKnown(path: string): boolean {
  return ['/readyz', '/livez', '/healthz', '/version', '/api', '/apis', `/apis/${GROUP}/v1`].includes(path);
}

interface AccessReview {
  readonly spec?: {
    readonly resourceAttributes?: {
      readonly namespace?: string;
      readonly verb?: string;
      readonly group?: string;
      readonly resource?: string;
      readonly name?: string;
    };
  };
}

function accessReview({ method, user, body }: OtherRequest, access: AccessControl): Reply {
  if (method !== 'POST') throw methodNotAllowed();
  const review = parseObject(body) as AccessReview;
  const {
    namespace = '',
    verb = '',
    group = '',
    resource = '',
    name = '',
  } = review.spec?.resourceAttributes ?? {};
  const isLeases = group === GROUP && resource === 'leases';
  const isAllowed = isLeases && access.allows({ user, verb, namespace, name });
  const reason = isAllowed ? { reason: 'RBAC: allowed by a rule of this test server' } : {};
  return objectReply(201, {
    kind: 'SelfSubjectAccessReview',
    apiVersion: 'authorization.k8s.io/v1',
    metadata: {},
    spec: review.spec ?? {},
    status: { allowed: isAllowed, ...reason },
  });
}

function selfReview({ method, user }: OtherRequest): Reply {
  if (method !== 'POST') throw methodNotAllowed();
  const groups = user === ANONYMOUS ? ['system:unauthenticated'] : ['system:authenticated'];
  return objectReply(201, {
    kind: 'SelfSubjectReview',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: {},
    status: { userInfo: { username: user, groups } },
  });
}

function parseObject(body: string): object {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null) return parsed;
  } catch {
    // Answered below, like anything else that is no object.
  }
  throw badRequest('the object provided is unrecognized (must be of type SelfSubjectAccessReview)');
}
