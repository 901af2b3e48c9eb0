/**
 * The Lease of a coordinated election (KEP-4355), as an election that knows nothing of coordination can use it.
 *
 * A controller of the API server writes into the Lease who is to hold it, and clears `acquireTime`. Its word decides who may
 * claim the lease, never when: it judges by wall clocks, so the last holder may still be sure of its term. Therefore the
 * chosen process is not shown the controller's record. It is shown the last holder's record, unchanged, and waits for that to
 * run out by its own clock, as in any election; or, if renewals of that holder may have been missed, a record that holds
 * the lease for a whole lease duration from then on. Everybody else sees who is named, for as long as the last holder's
 * lease lasts: the controller writes a duration of its own.
 *
 * Guarantees: what is shown binds the chosen process at least as long as the last holder can be sure of its term, also if
 * earlier replies never reached the elector. Not guaranteed: to notice a holder that renews without any trace that outlives
 * the controller's next choice, as client-go's coordinated candidates do.
 */
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
} from '../../election/index.js';
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
  /** This process' own, in milliseconds. */
  readonly leaseDuration: number;
  /** Withdraws the candidate: the API server would at once give the lease back to one that still stands. */
  readonly withdraw: () => Promise<void>;
  /** {@link CoordinatedLock.place} has changed. The elector may not have heard why yet. */
  readonly onMoved: () => void;
}

/** The newest of what was seen. */
interface Sight {
  /** The newest version that was seen, `'0'` for none. */
  readonly version: string;
  /** Undefined: there is no Lease. */
  readonly lease: LeaseSnapshot | undefined;
  /** The record that was shown for it. */
  readonly shown: LeaseRecord | undefined;
  /** The longest lease duration that was seen since a holder claimed the lease. */
  readonly longestSeconds: number;
}

/** The annotations in which a holder notes `renewTime` and `leaseDurationSeconds` of its last record: the controller writes over these. */
const HELD_AT = 'nestjs-leader/held-at';
const HELD_FOR = 'nestjs-leader/held-for';
/** Stands for the last holder when it is not known. The space keeps it apart from the name of any candidate. */
const UNKNOWN_HOLDER = 'unknown holder';

/** See the head of the file. */
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

  /** What the Lease says about this process, as it was seen last. */
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
    // Nothing else was seen since it was sent, so it tells what is so, even of an API server that was restored.
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
        // An event about another Lease may be wrong; the read that follows is not.
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

  /** `lease` as the elector is to see it. It is remembered if it `isNews`. */
  #show(lease: LeaseSnapshot, isNews: boolean): LeaseSnapshot {
    const record = this.#recordToShow(lease);
    if (isNews) this.#note(lease, record, lease.resourceVersion);
    return { ...lease, record, carried: lease };
  }

  #recordToShow(lease: LeaseSnapshot): LeaseRecord {
    const { record } = lease;
    const { holderIdentity } = record;
    if (holderIdentity === '' || record.acquireTime !== undefined) return record;
    // Named by the controller, and not claimed since.
    const { lease: before, shown, longestSeconds = 0 } = this.#sight ?? {};
    const seconds = Math.max(record.leaseDurationSeconds ?? 0, longestSeconds, heldForOf(lease));
    if (holderIdentity !== this.#parts.identity) return { ...record, leaseDurationSeconds: seconds };
    if (before === undefined && !wasHeld(lease)) return { ...record, holderIdentity: '' };
    if (before !== undefined && shown !== undefined && before.uid === lease.uid) {
      const isTheSame = sameRecord(before.record, record);
      if (isTheSame || (this.#isNewer(lease) && missedNothing(before, lease))) return notAskedFor(shown);
    }
    // None of the renewals that may have been missed can have been made since the lease was given to this process.
    const leaseDurationSeconds = Math.max(seconds, this.#parts.leaseDuration / 1_000);
    return { ...record, holderIdentity: UNKNOWN_HOLDER, leaseDurationSeconds };
  }

  #note(lease: LeaseSnapshot | undefined, shown: LeaseRecord | undefined, version: string): void {
    const { place } = this;
    this.#sight = { version, lease, shown, longestSeconds: this.#longestSeconds(lease?.record) };
    if (this.place !== place) this.#parts.onMoved();
  }

  /** Whoever claims the lease has respected those before it. */
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
 * Whether no holder wrote anything between these two; `elected` names this process. A holder that leaves no note of its
 * renewals, as client-go's do not, is never known to have written its last.
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
 * Whether anybody has ever held a Lease that says this. The controller makes one without `leaseTransitions`; whoever holds
 * it writes some, client-go's candidates too, who count none and leave no other trace. Of a holder that writes none
 * `acquireTime` tells until the controller clears it.
 */
function wasHeld(lease: LeaseSnapshot): boolean {
  const { leaseTransitions, acquireTime } = lease.record;
  return heldAtOf(lease) !== undefined || leaseTransitions !== undefined || acquireTime !== undefined;
}

/** Who asks for a lease asks the one that holds it, and not the one that is chosen. */
function notAskedFor({ wantedBy: _, ...record }: LeaseRecord): LeaseRecord {
  return record;
}

/** Whom the API server wants to hold the lease when its holder has given it up; `''` for nobody. */
function preferredHolderOf({ carried }: LeaseSnapshot): string {
  const preferred = (carried as ApiObject).spec?.['preferredHolder'];
  return typeof preferred === 'string' ? preferred : '';
}

function heldAtOf({ carried }: LeaseSnapshot): string | undefined {
  const heldAt = (carried as ApiObject).metadata.annotations?.[HELD_AT];
  return typeof heldAt === 'string' ? heldAt : undefined;
}

/** For how many seconds whoever held the lease last may be sure of it; 0 if that is not noted. */
function heldForOf({ carried }: LeaseSnapshot): number {
  const seconds = Number((carried as ApiObject).metadata.annotations?.[HELD_FOR]);
  return seconds > 0 && seconds < 2 ** 31 ? seconds : 0;
}

/** The note that goes with each record of a holder. */
function noteOf({ renewTime, leaseDurationSeconds }: LeaseRecord): Readonly<Record<string, string>> {
  return { [HELD_AT]: String(renewTime), [HELD_FOR]: String(leaseDurationSeconds) };
}

/** `base` with a note of the `record` that is written on top of it. */
function withNote(base: LeaseSnapshot, record: LeaseRecord): LeaseSnapshot {
  const object = base.carried as ApiObject;
  const annotations = { ...object.metadata.annotations, ...noteOf(record) };
  return { ...base, carried: { ...object, metadata: { ...object.metadata, annotations } } };
}
