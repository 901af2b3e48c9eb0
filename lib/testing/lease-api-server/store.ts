import type { StoredLease } from './lease-object.js';

/** A change of one Lease. */
export interface StoreEvent {
  readonly revision: number;
  /** The new state. After a deletion: the last state, with the version of the deletion. */
  readonly lease: StoredLease;
  /** The state before; undefined for a new Lease. */
  readonly previous: StoredLease | undefined;
  readonly deleted: boolean;
}

/** A Lease before the store gives it a version. */
export type UnversionedLease = Omit<StoredLease, 'metadata'> & {
  readonly metadata: Omit<StoredLease['metadata'], 'resourceVersion'>;
};

/** How many changes are remembered, and how many characters of JSON they may come to. Older versions are too old for a watch. */
const MAX_EVENTS = 10_000;
const MAX_HISTORY_LENGTH = 16 * 1_048_576;

/**
 * The Leases, the counter of their versions, and the recent changes. Every change takes the next version, a deletion too, so
 * versions order all changes.
 */
export class LeaseStore {
  readonly #leases = new Map<string, StoredLease>();
  readonly #listeners = new Set<() => void>();
  readonly #history: { readonly event: StoreEvent; readonly length: number }[] = [];
  #historyLength = 0;
  /** Begins with the time: a server that is started again has forgotten its Leases, and must not give out a version twice. */
  #revision = Date.now();
  /** Every change after this one is remembered. */
  #droppedUpTo = this.#revision;
  #forgottenUpTo = this.#revision;

  /** The version of the latest change. */
  get revision(): number {
    return this.#revision;
  }

  /** The oldest version from which a watch can begin. */
  get oldestRevision(): number {
    return Math.max(this.#droppedUpTo, this.#forgottenUpTo);
  }

  get(namespace: string, name: string): StoredLease | undefined {
    return this.#leases.get(`${namespace}/${name}`);
  }

  /** Sorted by namespace and name. */
  list(): StoredLease[] {
    return [...this.#leases].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, lease]) => lease);
  }

  /** What changed after `revision`, oldest first; undefined when that is no longer known. */
  eventsAfter(revision: number): StoreEvent[] | undefined {
    if (revision < this.#droppedUpTo) return undefined;
    const first = this.#history.findLastIndex(({ event }) => event.revision <= revision) + 1;
    return this.#history.slice(first).map(({ event }) => event);
  }

  /** Stores a new state of a Lease under the next version. */
  set(lease: UnversionedLease): StoredLease {
    const previous = this.get(lease.metadata.namespace, lease.metadata.name);
    const stored = this.#versioned(lease);
    this.#leases.set(keyOf(stored), stored);
    this.#remember({ revision: this.#revision, lease: stored, previous, deleted: false });
    return stored;
  }

  delete(previous: StoredLease): void {
    const lease = this.#versioned(previous);
    this.#leases.delete(keyOf(lease));
    this.#remember({ revision: this.#revision, lease, previous, deleted: true });
  }

  /** From now on watches cannot begin at any version given out so far, as after a restart. Open watches go on. */
  forget(): void {
    this.#revision += 1;
    this.#forgottenUpTo = this.#revision;
  }

  /** Calls `listener` after every change. */
  subscribe(listener: () => void): void {
    this.#listeners.add(listener);
  }

  #versioned(lease: UnversionedLease): StoredLease {
    this.#revision += 1;
    return { ...lease, metadata: { ...lease.metadata, resourceVersion: String(this.#revision) } };
  }

  #remember(event: StoreEvent): void {
    const { length } = JSON.stringify(event.lease);
    this.#history.push({ event, length });
    this.#historyLength += length;
    while (this.#history.length > MAX_EVENTS || this.#historyLength > MAX_HISTORY_LENGTH) {
      const dropped = this.#history.shift();
      this.#droppedUpTo = dropped?.event.revision ?? this.#revision;
      this.#historyLength -= dropped?.length ?? 0;
    }
    for (const listener of this.#listeners) listener();
  }
}

function keyOf({ metadata }: StoredLease): string {
  return `${metadata.namespace}/${metadata.name}`;
}
