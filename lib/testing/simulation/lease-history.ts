import { isNewer, sameRecord, type LeaseRecord, type LeaseSnapshot } from '../../election/index.js';
import type { SimulatedChange } from '../simulated-lease.js';
import type { SimulatedTime } from '../simulated-time.js';
import type { Party } from './party.js';
import type { Interference } from './term-history.js';

/** Who sent a record, when by its own monotonic clock, and what it had been shown until then. */
export interface Sending {
  readonly party: Party;
  readonly sentAt: number;
  readonly shown: Shown;
}

/** The newest version of each Lease (one that is deleted and made again is another) that a party was shown. */
type Shown = ReadonlyMap<string, string>;

/** What a change of the Lease amounts to. */
export interface ChangeFacts {
  /** Who wrote; undefined: somebody by hand. */
  readonly writer: Party | undefined;
  /** How much of the previous holder's lease was left to it when somebody else took it; 0 or less: none. */
  readonly tooEarlyByMs: number;
  readonly interference: Interference | undefined;
  /** A Lease that was deleted is there again, the same one. */
  readonly isResurrected: boolean;
}

/** A record that was stored: when, and by whom. */
interface Stored {
  readonly snapshot: LeaseSnapshot;
  readonly at: number;
  readonly writer: Party | undefined;
}

/** All that a Lease went through in a simulation, and who did it. */
export class LeaseHistory {
  readonly #time: SimulatedTime;
  readonly #sendings = new WeakMap<LeaseRecord, Sending>();
  readonly #writes = new Map<string, Sending>();
  /** What made each Lease, by its uid. */
  readonly #creations = new Map<string, Sending | undefined>();
  readonly #uids = new Map<string, string>();
  readonly #shown = new Map<Party, Shown>();
  readonly #deletions = new Map<Party, string>();
  readonly #interferences: { readonly version: string; readonly interference: Interference }[] = [];
  /** The newest record, although it may have been deleted since. */
  #newest: Stored | undefined;

  constructor(time: SimulatedTime) {
    this.#time = time;
  }

  sent(party: Party, record: LeaseRecord): void {
    this.#sendings.set(record, { party, sentAt: party.now, shown: this.#shown.get(party) ?? new Map() });
  }

  shownDeletion(party: Party, resourceVersion: string): void {
    const before = this.#deletions.get(party);
    if (before === undefined || isNewer(resourceVersion, before)) this.#deletions.set(party, resourceVersion);
  }

  shown(party: Party, { uid, resourceVersion }: LeaseSnapshot): void {
    // What a deletion has overtaken on its way is known to be past.
    const deletion = this.#deletions.get(party);
    if (deletion !== undefined && isNewer(deletion, resourceVersion)) return;
    const shown = this.#shown.get(party);
    // So is a Lease that another has overtaken.
    if ([...(shown ?? [])].some(([other, version]) => other !== uid && isNewer(version, resourceVersion)))
      return;
    const before = shown?.get(uid);
    if (before === undefined || isNewer(resourceVersion, before))
      this.#shown.set(party, new Map(shown).set(uid, resourceVersion));
  }

  /** What somebody did by hand after that version was written. */
  interferenceSince(resourceVersion: string): Interference | undefined {
    return this.#interferences.find(({ version }) => !isNewer(resourceVersion, version))?.interference;
  }

  /** The sending that led to that version. */
  writeOf(resourceVersion: string): Sending | undefined {
    return this.#writes.get(resourceVersion);
  }

  /** What made the Lease that has that version. */
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
    const writer = client === undefined ? undefined : sending?.party;
    const isResurrected = before === undefined && after !== undefined && this.#creations.has(after.uid);
    if (after !== undefined) {
      if (sending !== undefined) this.#writes.set(after.resourceVersion, sending);
      if (before === undefined) this.#creations.set(after.uid, sending);
      this.#uids.set(after.resourceVersion, after.uid);
      this.#newest =
        isKept && previous !== undefined
          ? { ...previous, snapshot: after }
          : { snapshot: after, at: this.#time.now, writer };
      // The same write under another version.
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

  /** What was left of the previous holder's lease, by the clock of whoever took it, at the least. */
  #leftOf(previous: Stored | undefined, taking: Sending, wasGone: boolean): number {
    const { party: taker } = taking;
    if (previous === undefined || previous.writer === taker) return 0;
    const { record } = previous.snapshot;
    if (record.holderIdentity === '' || record.leaseDurationSeconds === undefined) return 0;
    if (taker.goesByName && (wasGone || record.holderIdentity === taker.identity)) return 0;
    // Who writes itself into a Lease by hand waits for nobody, so nobody need expect it.
    const expected = previous.writer === undefined ? wasShown : knew;
    if (wasGone && !expected(taking, previous.snapshot)) return 0;
    return record.leaseDurationSeconds * 1000 - (this.#time.now - previous.at) * taker.rate;
  }
}

/** Whether that Lease was shown, in that version or a later one, before this was sent. */
function wasShown({ shown }: Sending, { uid, resourceVersion }: LeaseSnapshot): boolean {
  const version = shown.get(uid);
  return version !== undefined && !isNewer(resourceVersion, version);
}

/**
 * Whether that Lease was shown, in any version, before this was sent: whoever knew it owes its last holder a whole lease,
 * seen or not.
 */
export function knew({ shown }: Sending, { uid }: LeaseSnapshot): boolean {
  return shown.has(uid);
}

/** Whether the holder is as it was: only labels have changed, or by hand what nobody goes by, and it holds the lease. */
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
