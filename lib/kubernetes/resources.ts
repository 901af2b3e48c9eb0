import { LeaseRequestError, show } from '../election/internal.js';

/** A kind of object that requests are about, and what a Role must grant for it. */
export interface ResourceKind {
  /** Its API group; `''` for the core group. */
  readonly group: string;
  /** Its name in a Role. */
  readonly plural: string;
  /** Its name in `kind` of an object. */
  readonly kind: string;
  /** Its name in messages. */
  readonly singular: string;
  /** The verbs that an election needs. */
  readonly verbs: readonly string[];
}

export const LEASES: ResourceKind = {
  group: 'coordination.k8s.io',
  plural: 'leases',
  kind: 'Lease',
  singular: 'lease',
  verbs: ['get', 'create', 'update', 'watch'],
};

/** Their names are derived from the process, so a Role cannot list them. */
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

/** Pods whose status is watched. */
export const WATCHED_PODS: ResourceKind = { ...PODS, verbs: ['watch'] };

export const EVENTS: ResourceKind = {
  group: '',
  plural: 'events',
  kind: 'Event',
  singular: 'event',
  verbs: ['create'],
};

/** The plural with its group, as the API server's refusals name it. */
export function fullNameOf({ group, plural }: ResourceKind): string {
  return group === '' ? plural : `${plural}.${group}`;
}

/**
 * The path of an object or, without a name, of all objects of its kind in the namespace. Every path is built here, so
 * that a name is always one segment, whatever characters it contains.
 *
 * @throws LeaseRequestError `LEADER_REQUEST_INVALID` for a name that cannot be a segment, such as `..`.
 */
export function pathOf(
  { group, plural }: ResourceKind,
  version: string,
  { namespace, name }: { readonly namespace: string; readonly name?: string },
): string {
  const parts = [rootOf(group), version, 'namespaces', segment(namespace), plural];
  return [...parts, ...(name === undefined ? [] : [segment(name)])].join('/');
}

/** The path of all objects of a kind in all namespaces. */
export function pathOfAll({ group, plural }: ResourceKind, version: string): string {
  return [rootOf(group), version, plural].join('/');
}

function rootOf(group: string): string {
  return group === '' ? '/api' : `/apis/${group}`;
}

/** Matches what cannot be a segment: the empty string, `.`, `..`, and what cannot be encoded in UTF-8. */
const noSegment = /^\.{0,2}$|\p{Cs}/u;

function segment(name: string): string {
  if (!noSegment.test(name)) return encodeURIComponent(name);
  throw new LeaseRequestError(
    'LEADER_REQUEST_INVALID',
    `${show(name)} cannot be the name of an object, so no request is sent. Is it the identity of a coordinated election, ` +
      `or POD_NAME? Use a name that an object can have.`,
    { maybeCommitted: false },
  );
}

/**
 * The rule of a Role that grants `verbs` on the objects with these names or, without names, on all objects of that
 * kind.
 */
export function ruleFor(kind: ResourceKind, names: readonly string[], verbs = kind.verbs): string {
  const list = (values: readonly string[]): string => values.map((value) => `"${value}"`).join(', ');
  return [
    `  - apiGroups: ["${kind.group}"]`,
    `    resources: ["${kind.plural}"]`,
    ...(names.length > 0 ? [`    resourceNames: [${list(names)}]`] : []),
    `    verbs: [${list(verbs)}]`,
  ].join('\n');
}
