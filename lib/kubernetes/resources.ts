/** The kinds of objects that requests are about, and what a Role must grant for them. */

/** A kind of object. */
export interface ResourceKind {
  /** Its API group, `''` for the core's. */
  readonly group: string;
  /** As a Role names it. */
  readonly plural: string;
  /** As people name one. */
  readonly singular: string;
  /** What the election does with it, if it does anything. */
  readonly verbs: readonly string[];
}

export const LEASES: ResourceKind = {
  group: 'coordination.k8s.io',
  plural: 'leases',
  singular: 'lease',
  verbs: ['get', 'create', 'update', 'watch'],
};

/** Called after the process, so a Role cannot name them. */
export const LEASE_CANDIDATES: ResourceKind = {
  group: 'coordination.k8s.io',
  plural: 'leasecandidates',
  singular: 'lease candidate',
  verbs: ['get', 'create', 'update', 'delete', 'watch'],
};

export const PODS: ResourceKind = { group: '', plural: 'pods', singular: 'pod', verbs: ['patch'] };

export const EVENTS: ResourceKind = { group: '', plural: 'events', singular: 'event', verbs: ['create'] };

/** With its group, as the API server names it in a refusal. */
export function fullNameOf({ group, plural }: ResourceKind): string {
  return group === '' ? plural : `${plural}.${group}`;
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
