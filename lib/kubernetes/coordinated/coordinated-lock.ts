import {
  bounded,
  isNewer,
  sameRecord,
  type LeaseCall,
  type LeaseLock,
  type LeaseRecord,
  type LeaseSnapshot,
  type WatchEvent,
  type WriteOutcome,
} from '../../election/internal.js';
import type { ApiObject } from '../api-object.js';

/** What the Lease says about this process. */
export type Place =
  /** It was not read yet. */
  | 'unseen'
  /** It does not name this process, or there is no Lease. */
  | 'passedOver'
  /** It names this process, but the API server prefers another to hold it. */
  | 'outvoted'
  /** It names this process. */
  | 'chosen';

/** A lock whose snapshots carry the Lease as an object of the API server, and which creates it with annotations. */
export interface LeaseObjectLock extends LeaseLock {
  create(
    record: LeaseRecord,
    call: LeaseCall,
    annotations?: Readonly<Record<string, string>>,
  ): Promise<WriteOutcome>;
}

/** What a {@link CoordinatedLock} is made of. */
export interface CoordinatedLockParts {
  readonly lock: LeaseObjectLock;
  readonly identity: string;
  /** The `leaseDuration` of this process, in milliseconds. */
  readonly leaseDuration: number;
  /** Withdraws the candidate. Otherwise the API server would give the lease straight back to this process. */
  readonly withdraw: () => Promise<void>;
  /** {@link CoordinatedLock.place} has changed; it was `before`. The elector may not have seen the reason yet. */
  readonly onMoved: (before: Place) => void;
}

/** The newest state that was seen. */
interface Sight {
  /** The newest version that was seen; `'0'` for none. */
  readonly version: string;
  /** Undefined: there is no Lease. */
  readonly lease: LeaseSnapshot | undefined;
  /** The record that was shown for it. */
  readonly shown: LeaseRecord | undefined;
  /** The longest lease duration that was seen since a holder claimed the lease. */
  readonly longestSeconds: number;
}

/**
 * The annotations in which a holder repeats `renewTime` and `leaseDurationSeconds` of its last record, because the
 * controller overwrites those.
 */
const HELD_AT = 'nestjs-leader/held-at';
const HELD_FOR = 'nestjs-leader/held-for';
/** Shown as the holder if the last holder is not known. No candidate's name contains a space. */
const UNKNOWN_HOLDER = 'unknown holder';

/**
 * The Lease of a coordinated election (KEP-4355), for an election that knows nothing of coordination.
 *
 * A controller of the API server writes into the Lease which process is to hold it, and clears `acquireTime`. This
 * decides who may claim the lease, but not when: the controller compares wall clocks, so the last holder may still be
 * sure of its term. Therefore the chosen process does not see the controller's record. It sees the last holder's
 * record, unchanged, and waits until that has run out on its own clock, as in any election. If it may have missed
 * renewals of that holder, it sees a record that holds the lease for a whole lease duration from then on. All others
 * see the chosen process as the holder, for as long as the last holder's lease lasts, because the controller writes a
 * duration of its own.
 *
 * Guaranteed: the record that the chosen process sees binds it at least as long as the last holder can be sure of its
 * term, even if earlier replies never reached the elector. Not guaranteed: to notice a holder whose renewals leave no
 * trace after the controller's next choice, as those of client-go's coordinated candidates do.
 */
export class CoordinatedLock implements LeaseLock {
  readonly watch?: NonNullable<LeaseLock['watch']>;
  readonly #parts: CoordinatedLockParts;
  #sight: Sight | undefined;

  constructor(parts: CoordinatedLockParts) {
    this.#parts = parts;
    const { lock } = parts;
    if (lock.watch !== undefined) this.watch = (onEvent, signal) => this.#watch(onEvent, signal);
  }

  describe(): string {
    return this.#parts.lock.describe();
  }

  /** What the Lease, as it was seen last, says about this process. */
  get place(): Place {
    if (this.#sight === undefined) return 'unseen';
    const { lease } = this.#sight;
    const { identity } = this.#parts;
    if (lease?.record.holderIdentity !== identity) return 'passedOver';
    const preferred = preferredHolderOf(lease);
    return preferred === '' || preferred === identity ? 'chosen' : 'outvoted';
  }

  async get(call: LeaseCall): Promise<LeaseSnapshot | undefined> {
    const before = this.#sight;
    const lease = await this.#parts.lock.get(call);
    // Nothing else was seen since the read was sent, so it shows the current state, even if the API server was restored
    // and the version is lower.
    const isNews = this.#sight === before;
    if (lease !== undefined) return this.#show(lease, isNews || this.#isNewer(lease));
    if (isNews) this.#note(undefined, undefined, this.#version);
    return undefined;
  }

  async create(record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
    return this.#written(await this.#parts.lock.create(record, call, noteOf(record)));
  }

  async update(base: LeaseSnapshot, record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
    if (record.holderIdentity === '') await this.#withdraw(call);
    const noted = withNote(base.carried as LeaseSnapshot, record);
    return this.#written(await this.#parts.lock.update(noted, record, call));
  }

  async #withdraw({ signal, preparing }: LeaseCall): Promise<void> {
    preparing?.('the candidate of this process to be withdrawn');
    await bounded({ signal }, () => this.#parts.withdraw());
    preparing?.(undefined);
  }

  async #watch(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
    await this.#parts.lock.watch?.((event) => {
      onEvent(this.#told(event));
    }, signal);
  }

  #told(event: WatchEvent): WatchEvent {
    switch (event.kind) {
      case 'opened':
        return event;
      case 'deleted':
        if (isNewer(event.resourceVersion, this.#version))
          this.#note(undefined, undefined, event.resourceVersion);
        return event;
      case 'seen': {
        // An event about another Lease may be out of date, so only the read that follows it counts.
        const known = this.#sight?.lease;
        const isOurs = known === undefined || known.uid === event.snapshot.uid;
        return {
          kind: 'seen',
          snapshot: this.#show(event.snapshot, isOurs && this.#isNewer(event.snapshot)),
        };
      }
    }
  }

  #written(outcome: WriteOutcome): WriteOutcome {
    if (outcome.kind === 'conflict') return outcome;
    const { snapshot } = outcome;
    return { kind: 'written', snapshot: this.#show(snapshot, this.#isNewer(snapshot)) };
  }

  /** Returns `lease` as the elector is to see it, and remembers it if it `isNews`. */
  #show(lease: LeaseSnapshot, isNews: boolean): LeaseSnapshot {
    const record = this.#recordToShow(lease);
    if (isNews) this.#note(lease, record, lease.resourceVersion);
    return { ...lease, record, carried: lease };
  }

  #recordToShow(lease: LeaseSnapshot): LeaseRecord {
    const { record } = lease;
    const { holderIdentity } = record;
    if (holderIdentity === '' || record.acquireTime !== undefined) return record;
    // The controller named the holder, which has not claimed the lease since.
    const { lease: before, shown, longestSeconds = 0 } = this.#sight ?? {};
    const seconds = Math.max(record.leaseDurationSeconds ?? 0, longestSeconds, heldForOf(lease));
    if (holderIdentity !== this.#parts.identity) return { ...record, leaseDurationSeconds: seconds };
    if (before === undefined && !wasHeld(lease)) return { ...record, holderIdentity: '' };
    if (before !== undefined && shown !== undefined && before.uid === lease.uid) {
      const isTheSame = sameRecord(before.record, record);
      if (isTheSame || (this.#isNewer(lease) && missedNothing(before, lease))) return notAskedFor(shown);
    }
    // Renewals may have been missed, but all of them were before the controller named this process.
    const leaseDurationSeconds = Math.max(seconds, this.#parts.leaseDuration / 1_000);
    return { ...record, holderIdentity: UNKNOWN_HOLDER, leaseDurationSeconds };
  }

  #note(lease: LeaseSnapshot | undefined, shown: LeaseRecord | undefined, version: string): void {
    const { place } = this;
    this.#sight = { version, lease, shown, longestSeconds: this.#longestSeconds(lease?.record) };
    if (this.place !== place) this.#parts.onMoved(place);
  }

  /** A claim sets the value anew, because the claiming process has waited for all earlier holders. */
  #longestSeconds(record: LeaseRecord | undefined): number {
    const { longestSeconds = 0 } = this.#sight ?? {};
    const { holderIdentity = '', acquireTime, leaseDurationSeconds: seconds = 0 } = record ?? {};
    return holderIdentity !== '' && acquireTime !== undefined ? seconds : Math.max(longestSeconds, seconds);
  }

  #isNewer({ resourceVersion }: LeaseSnapshot): boolean {
    return isNewer(resourceVersion, this.#version);
  }

  get #version(): string {
    return this.#sight?.version ?? '0';
  }
}

/**
 * Whether no holder wrote anything between these two; `elected` names this process. This is never certain of a holder
 * that does not note its renewals, such as client-go's candidates.
 */
function missedNothing(before: LeaseSnapshot, elected: LeaseSnapshot): boolean {
  if (!wasHeld(before) && !wasHeld(elected)) return true;
  const heldAt = heldAtOf(elected);
  return (
    heldAt !== undefined &&
    before.record.renewTime === heldAt &&
    before.record.acquireTime !== undefined &&
    before.record.leaseTransitions === elected.record.leaseTransitions
  );
}

/**
 * Whether anybody has ever held this Lease. The controller creates it without `leaseTransitions`, and every holder
 * sets that field: even client-go's candidates, which never count up and leave no other trace. For a holder that does
 * not set it, `acquireTime` shows the same until the controller clears it.
 */
function wasHeld(lease: LeaseSnapshot): boolean {
  const { leaseTransitions, acquireTime } = lease.record;
  return heldAtOf(lease) !== undefined || leaseTransitions !== undefined || acquireTime !== undefined;
}

/** Removes the request to hand over: that is for the holder of the lease, not for the chosen process. */
function notAskedFor({ wantedBy: _, ...record }: LeaseRecord): LeaseRecord {
  return record;
}

/** The process that the API server wants to hold the lease once its holder has given it up; `''` for none. */
function preferredHolderOf({ carried }: LeaseSnapshot): string {
  const preferred = (carried as ApiObject).spec?.['preferredHolder'];
  return typeof preferred === 'string' ? preferred : '';
}

function heldAtOf({ carried }: LeaseSnapshot): string | undefined {
  const heldAt = (carried as ApiObject).metadata.annotations?.[HELD_AT];
  return typeof heldAt === 'string' ? heldAt : undefined;
}

/** For how many seconds the last holder may be sure of the lease; 0 if it has not noted that. */
function heldForOf({ carried }: LeaseSnapshot): number {
  const seconds = Number((carried as ApiObject).metadata.annotations?.[HELD_FOR]);
  return seconds > 0 && seconds < 2 ** 31 ? seconds : 0;
}

/** The annotations that a holder writes with each record. */
function noteOf({ renewTime, leaseDurationSeconds }: LeaseRecord): Readonly<Record<string, string>> {
  return { [HELD_AT]: String(renewTime), [HELD_FOR]: String(leaseDurationSeconds) };
}

/** `base` with the note of the `record` that is to replace it. */
function withNote(base: LeaseSnapshot, record: LeaseRecord): LeaseSnapshot {
  const object = base.carried as ApiObject;
  const annotations = { ...object.metadata.annotations, ...noteOf(record) };
  return { ...base, carried: { ...object, metadata: { ...object.metadata, annotations } } };
}
