/**
 * The lease: its record, the lock that reads and writes it, and the records that this process writes.
 *
 * The times in a record are for people and for other implementations. They are compared only with each other, never with a
 * local clock (ARCHITECTURE.md, rule 1).
 */
import type { WallMs } from './clock.js';
import { LeaseRequestError, readable } from './errors.js';

// The record

declare const microTime: unique symbol;

/** RFC 3339 in UTC with six fractional digits, e.g. `2026-11-21T07:15:00.123456Z`, as the API server demands and prints. */
export type MicroTime = string & { readonly [microTime]: true };

/** The spec of a Lease. Other fields of the spec are kept in {@link LeaseSnapshot.carried} and written back unchanged. */
export interface LeaseRecord {
  /** Who holds the lease; `''` when nobody does (released, or never held). */
  readonly holderIdentity: string;
  /** How long other candidates must wait, counted from when they first saw this record. May be absent in hand-made Leases. */
  readonly leaseDurationSeconds: number | undefined;
  readonly acquireTime: MicroTime | undefined;
  readonly renewTime: MicroTime | undefined;
  /** How often the lease has changed hands; 0 for its first holder. Absent in a Lease that nobody has claimed. */
  readonly leaseTransitions: number | undefined;
  /**
   * Who asks the holder to hand over: a candidate that wants the lease, or a command. Stored in an annotation, not in the spec:
   * a request must not look like a renewal, and a holder that does not know the annotation ignores it.
   */
  readonly wantedBy?: string;
  /**
   * What the holder wrote about its process, by which others may learn that this process is dead. Stored in an annotation.
   * Undefined if the holder wrote nothing, and if anybody else has written the record since.
   */
  readonly process?: string;
  /** What else the holder wrote about itself. Stored, and undefined, as `process` is. */
  readonly note?: HolderNote;
}

/** What a holder tells others about itself. It has no influence on who holds the lease. */
export interface HolderNote {
  /** Where it can be reached, in whatever form its application uses. */
  readonly address?: string | undefined;
  /** A candidate with a higher priority may ask it for the lease. */
  readonly priority?: number | undefined;
}

/** Whether two records have equal spec fields. Annotations do not count: editing them is not a renewal. */
export function sameRecord(a: LeaseRecord, b: LeaseRecord): boolean {
  for (const field of SPEC_FIELDS) if (a[field] !== b[field]) return false;
  return true;
}

/** The fields of a record that are in the spec. The ones most likely to differ come first. */
const SPEC_FIELDS = [
  'renewTime',
  'holderIdentity',
  'acquireTime',
  'leaseTransitions',
  'leaseDurationSeconds',
] as const;

/** A record as it was read, with what a conditional write on top of it needs. */
export interface LeaseSnapshot {
  readonly record: LeaseRecord;
  /**
   * A decimal number that grows with every change of this lease, also when it is deleted and created again: the fencing token of a
   * term is the version of the write that began it (G3).
   */
  readonly resourceVersion: string;
  /** Stays with each update. Differs when the Lease was deleted and created again. */
  readonly uid: string;
  /**
   * For how many milliseconds, at least, the record had been stored when it was read, by the server's own clock. Undefined if
   * that is unknown.
   */
  readonly ageMs?: number;
  /** The rest of the object, to be written back. Only the lock that read it looks inside. */
  readonly carried?: unknown;
}

/** Whether resourceVersion `a` is newer than `b`. Compared as decimal numbers of any length. */
export function isNewer(a: string, b: string): boolean {
  const [newer, older] = [withoutZeros(a), withoutZeros(b)];
  return newer.length === older.length ? newer > older : newer.length > older.length;
}

function withoutZeros(version: string): string {
  return version.startsWith('0') ? version.replace(/^0+/, '') : version;
}

// The lock

/** How one request is to be made. */
export interface LeaseCall {
  /** Ends the request: its deadline, or the elector stopping. The lock adds no time-out of its own. */
  readonly signal: AbortSignal;
  /** An earlier request is still unanswered: open a new connection, and use none that exists. */
  readonly newConnection: boolean;
  /**
   * Called with a description of what the request waits for before it can be sent (credentials, for example), and with
   * undefined when it is sent. That wait has a time limit of its own, apart from the server's.
   */
  readonly preparing?: ((what: string | undefined) => void) | undefined;
}

/**
 * The outcome of a write. `conflict`: nothing was written, because the object differs from the snapshot, or exists although
 * none was expected; read again. Every other failure is thrown as a `LeaseRequestError`, which says whether the write may
 * have been committed.
 */
export type WriteOutcome =
  { readonly kind: 'written'; readonly snapshot: LeaseSnapshot } | { readonly kind: 'conflict' };

/** What a watch reports. Events may be late, repeated or missing, without an error. */
export type WatchEvent =
  | { readonly kind: 'opened' }
  | { readonly kind: 'seen'; readonly snapshot: LeaseSnapshot }
  | { readonly kind: 'deleted'; readonly resourceVersion: string };

/**
 * Reads, writes and watches one lease, on a Kubernetes API server or wherever else it is kept. Throws `LeaseRequestError` and
 * nothing else; anything else counts as a write that may have been carried out.
 *
 * `update` must be conditional on both uid and resourceVersion of the snapshot; `create` must fail if the object exists.
 * `get`, `create` and `update` must be linearizable, and what was written must not be lost: not by a crash of the server, and not
 * by a failover to a copy that is behind. Versions grow with every change of the lease ({@link LeaseSnapshot}). All fields of a
 * {@link LeaseRecord} are stored as they are written, and those that it lacks are removed; others who write the record take
 * `process` away, because it tells about the writer. What else the object holds is kept: `carried` is for that. `watch` is
 * optional, and nothing depends on its being complete.
 *
 * `leaseLockContract()` of `nestjs-leader/testing` checks a lock, rule by rule.
 */
export interface LeaseLock {
  /** `namespace/name` or what names the lease, for messages. Locks on different leases have different descriptions. */
  describe(): string;
  /** The present lease, or undefined when there is none. */
  get(call: LeaseCall): Promise<LeaseSnapshot | undefined>;
  create(record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome>;
  update(base: LeaseSnapshot, record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome>;
  /**
   * Reports the present state and every change. Resolves when the server ends the stream or the signal fires; throws when it
   * fails. It does not reconnect; the elector does.
   */
  watch?(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void>;
  /** Closes what the lock has opened. The module calls it when the application has shut down; electors never do. */
  close?(): void | Promise<void>;
}

// What this process writes, field by field as client-go writes it

/** What the records of this process depend on. */
export interface Writer {
  readonly identity: string;
  /** Milliseconds. */
  readonly leaseDuration: number;
  /** Other candidates may ask for the lease, so a release keeps `wantedBy`. */
  readonly spread: boolean;
}

/** What a process writes about itself into a record. */
type About = Pick<LeaseRecord, 'process' | 'note'>;

/** `leaseTransitions` is an int32. It stays at its maximum; no fencing token is derived from it. */
const MOST_TRANSITIONS = 2 ** 31 - 1;

/** Earlier than every time that a Lease can hold. */
export const BEFORE_ALL_TIMES = '' as MicroTime;

/**
 * The `renewTime` of the next record: the wall clock with microseconds from `chance` ([0, 1)), and later than `last`, the
 * `renewTime` of this process' previous record. So no two records of one process are equal, and each record identifies the
 * write that stored it: an old write that commits late cannot earn the validity of a new one. Times written by other
 * processes are ignored, or one clock that is hours ahead would be passed on for ever.
 */
export function nextTime(last: MicroTime, date: WallMs, chance: number): MicroTime {
  const now = formatMicroseconds(BigInt(Math.floor(date)) * 1000n + digits(chance));
  if (now > last) return now;
  return slightlyAfter(last, chance) ?? now;
}

/**
 * The record that begins a term on top of `previous` (undefined: there is no Lease yet).
 *
 * @param time from {@link nextTime}; `chance` in [0, 1).
 */
export function recordToAcquire(
  writer: Writer,
  previous: LeaseRecord | undefined,
  time: MicroTime,
  chance: number,
  about: About = {},
): LeaseRecord {
  // A record that already has our name: no transition, and acquireTime moves by less than a millisecond. It moves so that two
  // processes with one name never write equal claims, and the holder of that name sees that another process has claimed the
  // lease. A name without acquireTime was not written by a claim.
  const acquiredBefore = previous?.holderIdentity === writer.identity ? previous.acquireTime : undefined;
  const movedOn = acquiredBefore && slightlyAfter(acquiredBefore, further(chance));
  return {
    holderIdentity: writer.identity,
    leaseDurationSeconds: writer.leaseDuration / 1000,
    acquireTime: movedOn ?? withMicroseconds(time, further(chance)),
    renewTime: time,
    leaseTransitions:
      previous === undefined
        ? 0
        : Math.min(
            (previous.leaseTransitions ?? 0) + (acquiredBefore === undefined ? 1 : 0),
            MOST_TRANSITIONS,
          ),
    ...about,
  };
}

/** The record that renews a term. It keeps `wantedBy`: whoever asked sees that the hand-over is not over. */
export function recordToRenew(
  writer: Writer,
  previous: LeaseRecord,
  time: MicroTime,
  about: About = {},
): LeaseRecord {
  return {
    ...withoutAbout(previous),
    leaseDurationSeconds: writer.leaseDuration / 1000,
    renewTime: time,
    ...about,
  };
}

/**
 * The record that releases the lease. Without `spread` and priorities it drops `wantedBy`: no candidate has asked, but a person
 * by the command line, and the candidates must not leave the lease to that. The holder is `''`, never absent: an absent holder
 * can crash an API server (1.36.3, when it chooses a holder itself). One second is the shortest duration a Lease can have.
 */
export function recordToRelease(
  { spread }: Pick<Writer, 'spread'>,
  { wantedBy, ...previous }: LeaseRecord,
  time: MicroTime,
): LeaseRecord {
  const isByCandidate = spread || previous.note?.priority !== undefined;
  return {
    ...withoutAbout(previous),
    ...(isByCandidate && wantedBy !== undefined && { wantedBy }),
    holderIdentity: '',
    leaseDurationSeconds: 1,
    acquireTime: time,
    renewTime: time,
  };
}

/** The record with which the lease runs out as soon as possible. For others it is a lease that expires, not a release. */
export function recordToExpire(previous: LeaseRecord, time: MicroTime): LeaseRecord {
  return { ...withoutAbout(previous), leaseDurationSeconds: 1, renewTime: time };
}

/** The record without what its holder wrote about itself: that is of no record but its own. */
function withoutAbout({ process: _, note: __, ...record }: LeaseRecord): LeaseRecord {
  return record;
}

/** The first three decimal digits of a number in [0, 1), used as microseconds. */
function digits(chance: number): bigint {
  return BigInt(Math.floor(chance * 1000));
}

/** A second number in [0, 1), from the digits that {@link digits} leaves. */
function further(chance: number): number {
  return (chance * 1000) % 1;
}

/** `time` cut to the millisecond, with microseconds from `chance`. */
function withMicroseconds(time: MicroTime, chance: number): MicroTime {
  const micros = parseMicroseconds(time);
  return micros === undefined ? time : formatMicroseconds((micros / 1000n) * 1000n + digits(chance));
}

/** Up to a millisecond after `time`; undefined when a later time cannot be written (after the year 9999). */
export function slightlyAfter(time: MicroTime, chance: number): MicroTime | undefined {
  const micros = parseMicroseconds(time);
  if (micros === undefined) return undefined;
  const next = formatMicroseconds(micros + 1n + digits(chance));
  return next > time ? next : undefined;
}

function formatMicroseconds(microseconds: bigint): MicroTime {
  // The remainder must be positive before 1970, too.
  const ofMillisecond = ((microseconds % 1000n) + 1000n) % 1000n;
  const milliseconds = (microseconds - ofMillisecond) / 1000n;
  const rest = ofMillisecond.toString().padStart(3, '0');
  return new Date(Number(milliseconds)).toISOString().replace('Z', `${rest}Z`) as MicroTime;
}

function parseMicroseconds(time: MicroTime): bigint | undefined {
  const match = /^(.+\.\d{3})(\d{3})Z$/.exec(time);
  if (match === null) return undefined;
  const milliseconds = Date.parse(`${String(match[1])}Z`);
  return Number.isNaN(milliseconds) ? undefined : BigInt(milliseconds) * 1000n + BigInt(String(match[2]));
}

// What a lock answers

/**
 * Refuses a resourceVersion that is not a decimal number: versions are compared, and one becomes the fencing token.
 *
 * @throws LeaseRequestError `LEADER_SERVER_ERROR`
 */
export function refuseStrangeVersion(lock: LeaseLock, version: string): void {
  if (/^\d+$/.test(version)) return;
  throw new LeaseRequestError(
    'LEADER_SERVER_ERROR',
    `The lock of ${lock.describe()} returned the resourceVersion '${readable(version)}': it must be a decimal number.`,
    { maybeCommitted: true },
  );
}

export async function readLease(lock: LeaseLock, call: LeaseCall): Promise<LeaseSnapshot | undefined> {
  const snapshot = await lock.get(call);
  if (snapshot !== undefined) refuseStrangeVersion(lock, snapshot.resourceVersion);
  return snapshot;
}

/**
 * Writes `record` on top of `base`, or creates the Lease if `base` is undefined.
 *
 * @throws LeaseRequestError also `LEADER_WRITE_NOT_KEPT`: the server reported success, but returned other values than those
 * written. A mutating admission webhook has changed them, or a proxy answers with an old object. The write proves nothing.
 */
export async function writeRecord(
  lock: LeaseLock,
  base: LeaseSnapshot | undefined,
  record: LeaseRecord,
  call: LeaseCall,
): Promise<WriteOutcome> {
  const outcome =
    base === undefined ? await lock.create(record, call) : await lock.update(base, record, call);
  if (outcome.kind === 'conflict') return outcome;
  refuseStrangeVersion(lock, outcome.snapshot.resourceVersion);
  const fields = changedFields(base, record, outcome.snapshot);
  if (fields.length === 0) return outcome;
  throw new WriteNotKeptError(lock, fields, outcome.snapshot.resourceVersion);
}

/** `LEADER_WRITE_NOT_KEPT`, with the resourceVersion under which the server stored the changed record. */
export class WriteNotKeptError extends LeaseRequestError {
  readonly #keptVersion: string;

  constructor(lock: LeaseLock, fields: readonly string[], keptVersion: string) {
    super(
      'LEADER_WRITE_NOT_KEPT',
      `The server accepted a write to the lease ${lock.describe()}, but returned other values than those written in ` +
        `${fields.join(', ')}. The write proves nothing and is repeated after a pause. On Kubernetes the likely cause is a mutating ` +
        `admission webhook that changes Leases: exclude leases.coordination.k8s.io from it.`,
      { maybeCommitted: true },
    );
    this.#keptVersion = keptVersion;
  }

  get keptVersion(): string {
    return this.#keptVersion;
  }
}

/** The fields in which the reply to a write differs from what was written. */
function changedFields(
  base: LeaseSnapshot | undefined,
  record: LeaseRecord,
  { record: kept, uid, resourceVersion }: LeaseSnapshot,
): string[] {
  const fields: string[] = SPEC_FIELDS.filter((field) => kept[field] !== record[field]);
  // `wantedBy` must be stored when it was written; one that the server keeps although we dropped it is harmless.
  if (record.wantedBy !== undefined && kept.wantedBy !== record.wantedBy) fields.push('wantedBy');
  if (base === undefined) return fields;
  if (uid !== base.uid) fields.push('uid');
  // A write that changes nothing gets no new version.
  const mayBeTheSame = sameRecord(base.record, record) && resourceVersion === base.resourceVersion;
  if (!mayBeTheSame && !isNewer(resourceVersion, base.resourceVersion)) fields.push('resourceVersion');
  return fields;
}
