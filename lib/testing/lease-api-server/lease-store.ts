import type { StoredLease } from './lease-object.js';

/** A change. */
export interface StoreEvent {
  readonly revision: number;
  /** As it is now; for a deletion as it was, under the deletion's version. */
  readonly lease: StoredLease;
  /** As it was, unless it is new. */
  readonly previous: StoredLease | undefined;
  readonly deleted: boolean;
}

/** A Lease about to be stored: the version is the store's to give. */
export type UnversionedLease = Omit<StoredLease, 'metadata'> & {
  readonly metadata: Omit<StoredLease['metadata'], 'resourceVersion'>;
};

/** How many changes are remembered, and how many characters of JSON; watches from before them are too old. */
const MAX_HISTORY = 10_000;
const MAX_HISTORY_LENGTH = 16 * 1_048_576;

/**
 * The Leases of a server, the counter of their versions, and the recent changes. Every change takes the next version, also a
 * deletion; so versions order all changes.
 */
export class LeaseStore {
  readonly #leases = new Map<string, StoredLease>();
  readonly #listeners = new Set<() => void>();
  readonly #history: StoreEvent[] = [];
  /** Of the JSON of each change. */
  readonly #lengths: number[] = [];
  #historyLength = 0;
  /** A server that has just been set up is not at its first version. */
  #revision = 1;
  /** Changes after this one can all be told. */
  #droppedUpTo = 1;
  #forgottenUpTo = 1;

  /** The version of the latest change. */
  get revision(): number {
    return this.#revision;
  }

  /** The oldest version from which a list or watch can begin. */
  get oldestRevision(): number {
    return Math.max(this.#droppedUpTo, this.#forgottenUpTo);
  }

  /** Whether everything after `revision` can still be told to a watch that is open. */
  remembersAfter(revision: number): boolean {
    return revision >= this.#droppedUpTo;
  }

  get(namespace: string, name: string): StoredLease | undefined {
    return this.#leases.get(keyOf(namespace, name));
  }

  /** Sorted by namespace and name. */
  list(): StoredLease[] {
    return sorted(this.#leases);
  }

  /** The Leases as they were at `revision`, which must be remembered. */
  listAt(revision: number): StoredLease[] {
    const leases = new Map(this.#leases);
    for (const { lease, previous } of this.#history.filter((event) => event.revision > revision).reverse()) {
      const key = keyOf(lease.metadata.namespace, lease.metadata.name);
      if (previous === undefined) leases.delete(key);
      else leases.set(key, previous);
    }
    return sorted(leases);
  }

  /** What changed after `revision`, oldest first. */
  eventsAfter(revision: number): readonly StoreEvent[] {
    return this.#history.slice(this.#history.findLastIndex((event) => event.revision <= revision) + 1);
  }

  /** Stores a new state of a Lease under the next version. */
  set(lease: UnversionedLease): StoredLease {
    const { namespace, name } = lease.metadata;
    const previous = this.get(namespace, name);
    const stored = withVersion(lease, this.#next());
    this.#leases.set(keyOf(namespace, name), stored);
    this.#remember({ revision: this.#revision, lease: stored, previous, deleted: false });
    return stored;
  }

  /** Removes a Lease; what is told of it is its last state under the deletion's version. */
  delete(lease: StoredLease): StoredLease {
    const { namespace, name } = lease.metadata;
    const last = withVersion(lease, this.#next());
    this.#leases.delete(keyOf(namespace, name));
    this.#remember({ revision: this.#revision, lease: last, previous: lease, deleted: true });
    return last;
  }

  /** Refuses to begin at any version given out so far, as a restarted API server does. Open watches go on. */
  forget(): void {
    // Not even the latest one: a restarted server begins at what is by then the version of something else.
    this.#forgottenUpTo = this.#next();
  }

  /** Calls back after every change. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #next(): number {
    this.#revision += 1;
    return this.#revision;
  }

  #remember(event: StoreEvent): void {
    const { length } = JSON.stringify(event.lease);
    this.#history.push(event);
    this.#lengths.push(length);
    this.#historyLength += length;
    while (this.#history.length > MAX_HISTORY || this.#historyLength > MAX_HISTORY_LENGTH) {
      this.#droppedUpTo = this.#history.shift()?.revision ?? this.#revision;
      this.#historyLength -= this.#lengths.shift() ?? 0;
    }
    for (const listener of this.#listeners) listener();
  }
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function sorted(leases: ReadonlyMap<string, StoredLease>): StoredLease[] {
  return [...leases].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, lease]) => lease);
}

/** The version stands where the server writes it: after the uid. */
function withVersion(lease: UnversionedLease, revision: number): StoredLease {
  return { ...lease, metadata: orderMetadata({ ...lease.metadata, resourceVersion: String(revision) }) };
}

const metadataOrder: readonly (keyof StoredLease['metadata'])[] = [
  'name',
  'generateName',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
  'managedFields',
];

function orderMetadata(metadata: StoredLease['metadata']): StoredLease['metadata'] {
  const ordered = metadataOrder
    .filter((name) => metadata[name] !== undefined)
    .map((name) => [name, metadata[name]]);
  return Object.fromEntries(ordered) as StoredLease['metadata'];
}
