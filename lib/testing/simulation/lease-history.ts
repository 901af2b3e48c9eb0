import { isNewer, sameRecord, type LeaseRecord, type LeaseSnapshot } from '../../election/internal.js';
import type { SimulatedChange } from '../simulated-lease.js';
import type { SimulatedTime } from '../simulated-time.js';
import type { Party } from './party.js';
import type { Interference } from './term-history.js';

/** Who sent a record, when by its own monotonic clock, and what it had been shown before. */
export interface Sending {
  readonly party: Party;
  readonly sentAt: number;
  readonly shown: Shown;
  /** What it wrote about its process. */
  readonly process: string | undefined;
  /** What processes wrote about themselves that it took for dead by then, and since when by its own monotonic clock. */
  readonly proofs: ReadonlyMap<string, number>;
}

/**
 * The newest version of each Lease that a party was shown, by uid. A Lease that was deleted and created again has a
 * new uid.
 */
type Shown = ReadonlyMap<string, LeaseSnapshot>;

/** The meaning of a change of the Lease. */
export interface ChangeFacts {
  /** Who wrote; undefined: somebody by hand. */
  readonly writer: Party | undefined;
  /** How much of the previous holder's lease was left when somebody else took it; 0 or less: nothing. */
  readonly tooEarlyByMs: number;
  readonly interference: Interference | undefined;
  /** A deleted Lease exists again, with the same uid. */
  readonly isResurrected: boolean;
}

/** A stored record: when it was stored, and by whom. */
export interface Stored {
  readonly snapshot: LeaseSnapshot;
  readonly at: number;
  readonly writer: Party | undefined;
  /** Its times or transitions were changed by hand since. */
  readonly isTouched: boolean;
  /** What its holder wrote about its process, unless somebody else has entered a holder or a time since. */
  readonly about: { readonly holder: Party; readonly process: string } | undefined;
}

/** Everything that happened to a Lease in a simulation, and who did it. */
export class LeaseHistory {
  readonly #time: SimulatedTime;
  readonly #sendings = new WeakMap<LeaseRecord, Sending>();
  readonly #writes = new Map<string, Sending>();
  /** The write that created each Lease, by uid. */
  readonly #creations = new Map<string, Sending | undefined>();
  readonly #uids = new Map<string, string>();
  readonly #shown = new Map<Party, Shown>();
  readonly #deletions = new Map<Party, string>();
  readonly #proofs = new Map<Party, ReadonlyMap<string, number>>();
  /** Who has written this text about its process. */
  readonly #writers = new Map<string, Set<Party>>();
  readonly #interferences: { readonly version: string; readonly interference: Interference }[] = [];
  /** When somebody has changed a record by hand in fields that nobody relies on. */
  readonly #touches: number[] = [];
  /** The newest record, even if it has been deleted since. */
  #newest: Stored | undefined;

  constructor(time: SimulatedTime) {
    this.#time = time;
  }

  sent(party: Party, record: LeaseRecord): void {
    const { process } = record;
    this.#sendings.set(record, {
      party,
      sentAt: party.now,
      shown: this.#shown.get(party) ?? new Map(),
      process,
      proofs: this.#proofs.get(party) ?? new Map(),
    });
    if (process !== undefined)
      this.#writers.set(process, (this.#writers.get(process) ?? new Set()).add(party));
  }

  /** `party` takes the process that wrote this about itself for dead. Returns all who wrote it. */
  proven(party: Party, process: string): readonly Party[] {
    const before = this.#proofs.get(party);
    this.#proofs.set(party, new Map(before).set(process, before?.get(process) ?? party.now));
    return [...(this.#writers.get(process) ?? [])];
  }

  shownDeletion(party: Party, resourceVersion: string): void {
    const before = this.#deletions.get(party);
    if (before === undefined || isNewer(resourceVersion, before)) this.#deletions.set(party, resourceVersion);
  }

  shown(party: Party, lease: LeaseSnapshot): void {
    const { uid, resourceVersion } = lease;
    // A version that arrives after a later deletion is known to be outdated.
    const deletion = this.#deletions.get(party);
    if (deletion !== undefined && isNewer(deletion, resourceVersion)) return;
    const shown = this.#shown.get(party);
    // So is a Lease that arrives after a newer one.
    if (
      [...(shown?.values() ?? [])].some(
        (other) => other.uid !== uid && isNewer(other.resourceVersion, resourceVersion),
      )
    )
      return;
    const before = shown?.get(uid);
    if (before === undefined || isNewer(resourceVersion, before.resourceVersion))
      this.#shown.set(party, new Map(shown).set(uid, lease));
  }

  /** What somebody did by hand after this version was written. */
  interferenceSince(resourceVersion: string): Interference | undefined {
    return this.#interferences.find(({ version }) => !isNewer(resourceVersion, version))?.interference;
  }

  wasDeletedSince(resourceVersion: string): boolean {
    return this.#interferences.some(
      ({ version, interference }) => interference.kind === 'deleted' && !isNewer(resourceVersion, version),
    );
  }

  /** How often somebody has changed only times or transitions by hand since this instant of true time. */
  touchesSince(at: number): number {
    return this.#touches.filter((touchedAt) => touchedAt >= at).length;
  }

  /** The newest record, even if it has been deleted since. */
  get newest(): Stored | undefined {
    return this.#newest;
  }

  /** The sending that was stored as this version. */
  writeOf(resourceVersion: string): Sending | undefined {
    return this.#writes.get(resourceVersion);
  }

  /** The sending that created the Lease of this version. */
  creationOf(resourceVersion: string): Sending | undefined {
    const uid = this.#uids.get(resourceVersion);
    return uid === undefined ? undefined : this.#creations.get(uid);
  }

  sendingOf(record: LeaseRecord): Sending | undefined {
    return this.#sendings.get(record);
  }

  note({ client, before, after }: SimulatedChange): ChangeFacts {
    const previous = this.#newest;
    const isKept = before !== undefined && after !== undefined && isSameTenure(client, before, after);
    const sending = after && this.#sendings.get((isKept ? before : after).record);
    if (isKept && sending !== undefined) this.#sendings.set(after.record, sending);
    const isTouch = isKept && !sameRecord(before.record, after.record);
    if (isTouch) this.#touches.push(this.#time.now);
    const writer = client === undefined ? undefined : sending?.party;
    const isResurrected = before === undefined && after !== undefined && this.#creations.has(after.uid);
    if (after !== undefined) {
      if (sending !== undefined) this.#writes.set(after.resourceVersion, sending);
      if (before === undefined) this.#creations.set(after.uid, sending);
      this.#uids.set(after.resourceVersion, after.uid);
      this.#newest =
        isKept && previous !== undefined
          ? { ...previous, snapshot: after, isTouched: previous.isTouched || isTouch }
          : {
              snapshot: after,
              at: this.#time.now,
              writer,
              isTouched: false,
              about: aboutIn(previous, after, sending, writer),
            };
      // It is the same write with a new version.
      if (isKept) return { writer, tooEarlyByMs: 0, interference: undefined, isResurrected };
    }
    if (writer !== undefined && sending !== undefined)
      return {
        writer,
        tooEarlyByMs: this.#leftOf(previous, sending, before === undefined),
        interference: undefined,
        isResurrected,
      };
    const interference = interferenceWith(before, after);
    const version = after?.resourceVersion ?? before?.resourceVersion;
    if (version !== undefined) this.#interferences.unshift({ version, interference });
    return { writer, tooEarlyByMs: 0, interference, isResurrected };
  }

  /** How much of the previous holder's lease was left, by the clock of the party that took it; a lower bound. */
  #leftOf(previous: Stored | undefined, taking: Sending, wasGone: boolean): number {
    const { party: taker } = taking;
    if (previous === undefined || previous.writer === taker) return 0;
    const { record } = previous.snapshot;
    if (record.holderIdentity === '' || record.leaseDurationSeconds === undefined) return 0;
    const isNamesake = record.holderIdentity === taker.identity;
    if ((taker.goesByName && (wasGone || isNamesake)) || (taker.reclaims && isNamesake && !wasGone)) return 0;
    // Nobody waits for a process that is dead, and proven so, longer than `lockDelay`.
    const { about } = previous;
    const provenAt = about?.holder.loop.liveness === 'dead' ? taking.proofs.get(about.process) : undefined;
    const sinceProof = provenAt === undefined ? 0 : taking.sentAt - provenAt;
    // Times are rounded.
    if (provenAt !== undefined && sinceProof >= taker.lockDelay - 0.001) return 0;
    // A holder that was written by hand is owed the lease only by those who were shown that record.
    const expected = previous.writer === undefined ? wasShown : owes;
    if (wasGone && !expected(taking, previous.snapshot)) return 0;
    return record.leaseDurationSeconds * 1000 + taker.lockDelay - (this.#time.now - previous.at) * taker.rate;
  }
}

function aboutIn(
  previous: Stored | undefined,
  { record }: LeaseSnapshot,
  sending: Sending | undefined,
  writer: Party | undefined,
): Stored['about'] {
  if (writer !== undefined)
    return sending?.process === undefined ? undefined : { holder: writer, process: sending.process };
  const before = previous?.snapshot.record;
  const isTheSame = before?.holderIdentity === record.holderIdentity && before.renewTime === record.renewTime;
  return isTheSame ? previous?.about : undefined;
}

/** Whether the sender had been shown this version of the Lease, or a later one. */
function wasShown({ shown }: Sending, { uid, resourceVersion }: LeaseSnapshot): boolean {
  const lease = shown.get(uid);
  return lease !== undefined && !isNewer(resourceVersion, lease.resourceVersion);
}

/**
 * Whether the sender owes the last holder of a Lease that is gone a whole lease, even unseen: it had been shown the Lease, in
 * any version, and the last record has no longer duration than that version, or than the sender's own records.
 */
export function owes({ party, shown }: Sending, { uid, record }: LeaseSnapshot): boolean {
  const known = shown.get(uid);
  if (known === undefined) return false;
  const own = (party.records?.leaseDuration ?? 0) / 1000;
  return (record.leaseDurationSeconds ?? 0) <= Math.max(known.record.leaseDurationSeconds ?? 0, own);
}

/**
 * Whether the holder still holds the lease as before: only labels have changed, or an edit by hand has changed fields
 * that nobody relies on.
 */
function isSameTenure(
  client: string | undefined,
  { record: before }: LeaseSnapshot,
  { record: after }: LeaseSnapshot,
): boolean {
  if (sameRecord(before, after)) return true;
  const fields = ['holderIdentity', 'leaseDurationSeconds', 'acquireTime'] as const;
  return client === undefined && fields.every((field) => before[field] === after[field]);
}

function interferenceWith(before: LeaseSnapshot | undefined, after: LeaseSnapshot | undefined): Interference {
  return after === undefined && before !== undefined ? { kind: 'deleted', last: before } : { kind: 'edited' };
}
