/** What users may ask about themselves: may I, who am I. */
import { ANONYMOUS, type AccessControl } from './access.js';
import { requireJson } from './body-decoding.js';
import { parseJson, toValue } from './json-text.js';
import { objectReply, type Reply } from './reply.js';
import { ACCESS_REVIEWS } from './review-paths.js';
import { GROUP, badRequest, invalid, invalidValue, methodNotAllowed } from './status.js';
import { wireSeconds } from './wire-time.js';

/** A question. */
export interface SelfReview {
  readonly method: string;
  readonly path: string;
  readonly user: string;
  readonly contentType: string | undefined;
  readonly body: string;
}

interface AccessReview {
  readonly spec?: { readonly resourceAttributes?: Readonly<Record<string, string>> } | null;
}

/** @throws StatusError 400, 405, 415, 422 */
export function answerSelfReview(review: SelfReview, access: AccessControl): Reply {
  if (review.method !== 'POST') throw methodNotAllowed();
  requireJson(review.contentType);
  return review.path === ACCESS_REVIEWS ? accessReview(review, access) : selfReview(review);
}

function accessReview({ user, body }: SelfReview, access: AccessControl): Reply {
  const spec = parseReview(body).spec ?? {};
  if (spec.resourceAttributes == null) {
    const rule = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
    throw invalid({ group: 'authorization.k8s.io' }, '', [
      invalidValue('spec.resourceAttributes', 'null', rule),
    ]);
  }
  const { namespace = '', verb = '', group = '', resource = '', name = '' } = spec.resourceAttributes;
  const isAboutLeases = group === GROUP && resource === 'leases';
  const allowed = isAboutLeases
    ? access.allows({ user, verb, namespace, name })
    : access.isAdministrator(user);
  return objectReply(201, {
    kind: 'SelfSubjectAccessReview',
    apiVersion: 'authorization.k8s.io/v1',
    metadata: {},
    spec,
    // The real one says which RoleBinding it was.
    status: { allowed, ...(allowed && { reason: 'RBAC: allowed by the rules of this server' }) },
  });
}

function selfReview({ user }: SelfReview): Reply {
  const groups = user === ANONYMOUS ? ['system:unauthenticated'] : ['system:authenticated'];
  return objectReply(201, {
    kind: 'SelfSubjectReview',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { creationTimestamp: wireSeconds(new Date()) },
    status: { userInfo: { username: user, groups } },
  });
}

function parseReview(body: string): AccessReview {
  try {
    const parsed = parseJson(body);
    if (parsed.kind === 'object') return toValue(parsed) as AccessReview;
  } catch {
    // Answered below, like anything else that is no object.
  }
  throw badRequest('the object provided is unrecognized (must be of type SelfSubjectAccessReview)');
}
