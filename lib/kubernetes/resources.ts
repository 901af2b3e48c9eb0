/** The kinds of objects that requests are about, and what a Role must grant for them. */
import { LeaseRequestError, show } from '../election/index.js';

/** A kind of object. */
export interface ResourceKind {
  /** Its API group, `''` for the core's. */
  readonly group: string;
  /** As a Role names it. */
  readonly plural: string;
  /** As an object names it. */
  readonly kind: string;
  /** As people name one. */
  readonly singular: string;
  /** What the election does with it, if it does anything. */
  readonly verbs: readonly string[];
}

export const LEASES: ResourceKind = {
  group: 'coordination.k8s.io',
  plural: 'leases',
  kind: 'Lease',
  singular: 'lease',
  verbs: ['get', 'create', 'update', 'watch'],
};

/** Called after the process, so a Role cannot name them. */
export const LEASE_CANDIDATES: ResourceKind = {
  group: 'coordination.k8s.io',
  plural: 'leasecandidates',
  kind: 'LeaseCandidate',
  singular: 'lease candidate',
  verbs: ['get', 'create', 'update', 'delete', 'watch'],
};

export const PODS: ResourceKind = {
  group: '',
  plural: 'pods',
  kind: 'Pod',
  singular: 'pod',
  verbs: ['patch'],
};

export const EVENTS: ResourceKind = {
  group: '',
  plural: 'events',
  kind: 'Event',
  singular: 'event',
  verbs: ['create'],
};

/** With its group, as the API server names it in a refusal. */
export function fullNameOf({ group, plural }: ResourceKind): string {
  return group === '' ? plural : `${plural}.${group}`;
}

/**
 * The path of that object, or without a name of all of its kind in the namespace. Every path is built here: a name is one
 * segment of it, whatever characters it is of.
 *
 * @throws LeaseRequestError `LEADER_REQUEST_INVALID` for what is no segment, such as `..`.
 */
export function pathOf(
  { group, plural }: ResourceKind,
  version: string,
  { namespace, name }: { readonly namespace: string; readonly name?: string },
): string {
  const root = group === '' ? '/api' : `/apis/${group}`;
  const path = `${root}/${version}/namespaces/${segment(namespace)}/${plural}`;
  return name === undefined ? path : `${path}/${segment(name)}`;
}

/** Nothing, `.`, `..`, and what has no form in UTF-8. */
const noSegment = /^\.{0,2}$|\p{Cs}/u;

function segment(name: string): string {
  if (!noSegment.test(name)) return encodeURIComponent(name);
  throw new LeaseRequestError(
    'LEADER_REQUEST_INVALID',
    `${show(name)} is the name of no object, so nothing is asked about it. Is it the identity of a coordinated election, or ` +
      `POD_NAME? Give a name that an object can have.`,
    { maybeCommitted: false },
  );
}

/** The rule of a Role that grants `verbs`, for the objects of these names or, without any, for all of that kind. */
export function ruleFor(kind: ResourceKind, names: readonly string[], verbs = kind.verbs): string {
  const list = (values: readonly string[]): string => values.map((value) => `"${value}"`).join(', ');
  return [
    `  - apiGroups: ["${kind.group}"]`,
    `    resources: ["${kind.plural}"]`,
    ...(names.length > 0 ? [`    resourceNames: [${list(names)}]`] : []),
    `    verbs: [${list(verbs)}]`,
  ].join('\n');
}
