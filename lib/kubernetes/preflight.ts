import { LeaderError, type Attendant, type Report } from '../election/internal.js';
import type { KubernetesConnection } from './connection.js';
import type { PodAddress } from './pod.js';
import {
  EVENTS,
  LEASES,
  LEASE_CANDIDATES,
  PODS,
  WATCHED_PODS,
  fullNameOf,
  ruleFor,
  type ResourceKind,
} from './resources.js';
import { SideRequests } from './side-requests.js';

/** The objects for which an election needs permissions. */
export interface ElectionNeeds {
  readonly namespace: string;
  /** The names of the Leases: one, or one for each slot. */
  readonly leases: readonly string[];
  /** False: this process only follows, so it writes nothing. */
  readonly mayLead: boolean;
  /** The name of the LeaseCandidate, in a coordinated election. */
  readonly candidate?: string | undefined;
  /** Whether Events are written. */
  readonly events: boolean;
  /** The Pod to label, if any. */
  readonly pod: PodAddress | undefined;
  /** The Pod of this process, if the status of pods is watched: others watch this one, and their pods are like it. */
  readonly watchedPod?: PodAddress | undefined;
}

/** Somebody else than the sender of a request. */
export interface Subject {
  readonly user: string;
  readonly groups: readonly string[];
}

/** One verb on one object. `name` is `''` for an object that has none yet. */
export interface Permission {
  readonly resource: ResourceKind;
  readonly verb: string;
  readonly namespace: string;
  readonly name: string;
}

const PATIENCE_MS = 2_000;

/**
 * Asks the API server whether this process has the permissions that its election needs, before anything depends on
 * them. It asks for each verb separately (SelfSubjectAccessReview), because every kind of authorizer answers that. A
 * SelfSubjectRulesReview is incomplete where authorizers other than RBAC grant permissions.
 */
export class Preflight implements Attendant {
  readonly #needs: ElectionNeeds;
  readonly #requests: SideRequests;
  readonly #subject: Subject | undefined;

  /** @param subject whose permissions are asked for; that itself needs a permission. Default: those of this process. */
  constructor(connection: KubernetesConnection, needs: ElectionNeeds, subject?: Subject) {
    this.#needs = needs;
    this.#requests = new SideRequests(connection, PATIENCE_MS);
    this.#subject = subject;
  }

  /**
   * Asks for every permission. Returns one error that names all missing verbs and the rules that grant them, or
   * undefined if none is missing.
   *
   * @throws LeaseRequestError if a request fails; no further request is sent then.
   */
  async missing(): Promise<LeaderError | undefined> {
    const missing: Permission[] = [];
    // One after the other, so that the election's own requests do not wait for a connection.
    for (const permission of permissionsFor(this.#needs))
      if (!(await isGranted(this.#requests, permission, this.#subject))) missing.push(permission);
    return missing.length === 0 ? undefined : lacking(missing, this.#subject);
  }

  /**
   * Asks, and reports what is missing. Failed requests are not reported, because the election's own requests fail
   * then, too.
   */
  start(report: Report): void {
    this.missing().then(
      (error) => {
        if (error !== undefined) report(error);
      },
      () => undefined,
    );
  }

  /** Sends no further request. */
  stop(): void {
    this.#requests.abortAll();
  }
}

/**
 * Whether the API server grants a permission, to this process or to a subject.
 *
 * @throws LeaseRequestError if the request fails.
 */
export async function isGranted(
  requests: SideRequests,
  { resource, verb, namespace, name }: Permission,
  subject?: Subject,
): Promise<boolean> {
  const { group, plural } = resource;
  const resourceAttributes = { namespace, verb, group, resource: plural, ...(name !== '' && { name }) };
  const kind = subject === undefined ? 'SelfSubjectAccessReview' : 'SubjectAccessReview';
  const review = await requests.send({
    method: 'POST',
    path: `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`,
    body: { apiVersion: 'authorization.k8s.io/v1', kind, spec: { resourceAttributes, ...subject } },
    context: {
      verb: 'create',
      resource: { ...REVIEWS, plural: `${kind.toLowerCase()}s`, kind },
      name: '',
      namespace,
    },
  });
  // An answer that is not a review proves nothing.
  const { status } = review as { status?: { allowed?: unknown } | null };
  return status?.allowed !== false;
}

const REVIEWS = { group: 'authorization.k8s.io', singular: 'access review', verbs: ['create'] };

function permissionsFor({
  namespace,
  leases,
  mayLead,
  candidate,
  events,
  pod,
  watchedPod,
}: ElectionNeeds): Permission[] {
  const each = (
    resource: ResourceKind,
    where: { name: string; namespace: string },
    verbs = resource.verbs,
  ): Permission[] => verbs.map((verb) => ({ resource, verb, ...where }));
  const ofLeases = mayLead ? LEASES.verbs : ['get', 'watch'];
  return [
    ...leases.flatMap((name) => each(LEASES, { name, namespace }, ofLeases)),
    ...(candidate === undefined ? [] : each(LEASE_CANDIDATES, { name: candidate, namespace })),
    ...(events ? each(EVENTS, { name: '', namespace }) : []),
    ...(pod === undefined ? [] : each(PODS, pod)),
    ...(watchedPod === undefined ? [] : each(WATCHED_PODS, watchedPod)),
  ];
}

function lacking(missing: readonly Permission[], subject: Subject | undefined): LeaderError {
  const lines = missing.map(
    ({ resource, verb, namespace, name }) =>
      `${verb} on ${fullNameOf(resource)}${name === '' ? '' : ` '${name}'`} in namespace '${namespace}'`,
  );
  const rules = [...new Set(missing.map(({ namespace }) => namespace))].map(
    (namespace) =>
      `In a Role in namespace '${namespace}':\n` +
      [LEASES, LEASE_CANDIDATES, EVENTS, PODS, WATCHED_PODS]
        .flatMap((resource) =>
          ruleOf(missing.filter((one) => one.resource === resource && one.namespace === namespace)),
        )
        .join('\n'),
  );
  return new LeaderError(
    'LEADER_PERMISSION_MISSING',
    `${subject === undefined ? 'This process lacks' : `'${subject.user}' lacks`} ${missing.length === 1 ? 'a permission' : `${String(missing.length)} permissions`} that ${subject === undefined ? 'its' : 'the'} ` +
      `election needs: ${lines.join(', ')}. Grant what is missing to ${subject === undefined ? 'the service account of this pod' : 'it'}. ${rules.join('\n')}`,
  );
}

/** The rule that grants these permissions, all on one kind of object. */
function ruleOf(missing: readonly Permission[]): string[] {
  const [first] = missing;
  if (first === undefined) return [];
  const verbs = first.resource.verbs.filter((verb) => missing.some((one) => one.verb === verb));
  // The names of Pods and LeaseCandidates are not known in advance, so a Role cannot contain them.
  const names = first.resource === LEASES ? [...new Set(missing.map(({ name }) => name))] : [];
  return [ruleFor(first.resource, names, verbs)];
}
