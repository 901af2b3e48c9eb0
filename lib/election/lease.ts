/**
 * The lease: what its record says, the lock through which it is read and written, and what this process writes in each case.
 *
 * The times in a record are written for people and for other implementations. They are compared only with each other, never
 * with a local clock (ARCHITECTURE.md, rule 1).
 */
import type { WallMs } from './clock.js';
import { LeaseRequestError, readable } from './errors.js';

// The record

declare const microTime: unique symbol;

/** RFC 3339 in UTC with six fractional digits, e.g. `2026-11-21T07:15:00.123456Z`, as the API server demands and prints. */
export type MicroTime = string & { readonly [microTime]: true };

/** The spec of a Lease. What else a spec holds travels beside it and is written back untouched. */
export interface LeaseRecord {
  /** Who holds the lease; `''` when nobody does (released, or never held). */
  readonly holderIdentity: string;
  /** How long after their first sight of this record others must wait. Absent in hand-made Leases. */
  readonly leaseDurationSeconds: number | undefined;
  readonly acquireTime: MicroTime | undefined;
  readonly renewTime: MicroTime | undefined;
  /** How often the lease has changed hands. Every holder counts, if only to 0. Absent in a Lease that nobody has claimed. */
  readonly leaseTransitions: number | undefined;
  /**
   * Who asks the holder to hand over to it. Not in the spec but in an annotation: to ask is no renewal, and a holder that
   * does not know the annotation is not disturbed.
   */
  readonly wantedBy?: string;
}

/** Whether two records say the same. An edit of labels or annotations is no renewal; other times are one. */
export function sameRecord(a: LeaseRecord, b: LeaseRecord): boolean {
  for (const field of SPEC_FIELDS) if (a[field] !== b[field]) return false;
  return true;
}

/** The fields of a record that are in the spec; those that tell two records apart come first. */
const SPEC_FIELDS = [
  'renewTime',
  'holderIdentity',
  'acquireTime',
  'leaseTransitions',
  'leaseDurationSeconds',
] as const;

/** A record as it was seen, with what a conditional write on top of it needs. */
export interface LeaseSnapshot {
  readonly record: LeaseRecord;
  /** A decimal string that grows with every write to the cluster. */
  readonly resourceVersion: string;
  /** Differs when the Lease was deleted and created again. */
  readonly uid: string;
  /** What else the object holds and must be written back; only the lock that read it looks inside. */
  readonly carried?: unknown;
}

/** Whether resourceVersion `a` was given out after `b`. Of two decimal numbers the longer one is larger. */
export function isNewer(a: string, b: string): boolean {
  const [newer, older] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  return newer.length === older.length ? newer > older : newer.length > older.length;
}

// The lock

/** How one request is to be made. */
export interface LeaseCall {
  /** Ends the request: its deadline, or the elector stopping. The lock adds no time-out of its own. */
  readonly signal: AbortSignal;
  /** An earlier request is still unanswered: use another connection than any that exists. */
  readonly newConnection: boolean;
  /**
   * Called with what the request waits for before it can be sent, in words, and with undefined when it is sent. That time is
   * not the server's, and counts by itself.
   */
  readonly preparing?: ((what: string | undefined) => void) | undefined;
}

/**
 * What became of a write. `conflict`: not done, because the object is not (or no longer) as the snapshot
 * says, or exists where none was expected; look again. Everything else is thrown as a `LeaseRequestError`,
 * which says whether the write may nevertheless have happened.
 */
export type WriteOutcome =
  { readonly kind: 'written'; readonly snapshot: LeaseSnapshot } | { readonly kind: 'conflict' };

/** What a watch reports. Events may be late, repeated, or missing without an error. */
export type WatchEvent =
  | { readonly kind: 'opened' }
  | { readonly kind: 'seen'; readonly snapshot: LeaseSnapshot }
  | { readonly kind: 'deleted'; readonly resourceVersion: string };

/**
 * One Lease and how to reach it. Throws `LeaseRequestError` and nothing else.
 *
 * `update` must be conditional on both uid and resourceVersion of the snapshot, `create` on the object not
 * existing; both must be linearizable, and so must `get`. `watch` is optional and may be wrong in any way.
 */
export interface LeaseLock {
  /** `namespace/name`, for people. */
  describe(): string;
  /** The lease as it is, or undefined when there is none. */
  get(call: LeaseCall): Promise<LeaseSnapshot | undefined>;
  create(record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome>;
  update(base: LeaseSnapshot, record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome>;
  /**
   * Reports the present state and every change until the server ends the stream (resolves), the signal fires
   * (resolves), or it fails (throws). Does not reconnect; the elector does.
   */
  watch?(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void>;
}

// What this process writes, field by field as client-go writes it

/** Who writes. */
export interface Writer {
  readonly identity: string;
  /** Milliseconds. */
  readonly leaseDuration: number;
  /** The holder may be asked for the lease, so a request for it is kept. */
  readonly spread: boolean;
}

/** A Lease counts its transitions in 32 bits. At the end it counts no further: tokens do not come from it. */
const MOST_TRANSITIONS = 2 ** 31 - 1;

/** Before every time that a Lease can have. */
export const BEFORE_ALL_TIMES = '' as MicroTime;

/**
 * The time of the next record: the wall clock's, with microseconds from `chance` ([0, 1)), and later than `last`, the time
 * of the last record of this process. So no two records of one process are alike, and a record tells which write stored it:
 * an old write that commits late cannot earn the validity of a new one. What others wrote does not count: a clock that is
 * hours ahead would be handed on for ever.
 */
export function nextTime(last: MicroTime, date: WallMs, chance: number): MicroTime {
  const now = formatMicroseconds(BigInt(Math.floor(date)) * 1000n + digits(chance));
  if (now > last) return now;
  return slightlyAfter(last, chance) ?? now;
}

/**
 * The record that begins a term on top of `previous`; undefined: there is no Lease yet.
 *
 * @param time from {@link nextTime}; `chance` in [0, 1).
 */
export function recordToAcquire(
  writer: Writer,
  previous: LeaseRecord | undefined,
  time: MicroTime,
  chance: number,
): LeaseRecord {
  // The same name: no transition, and the same acquisition but for less than a millisecond. It moves on with each claim, so
  // that two processes of one name that claim at one instant do not write alike, and the holder of that name sees that
  // another has claimed the lease. A name without acquireTime was not put there by a claim.
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
  };
}

/** The record that renews a term. Who asked a holder that does not share out is forgotten: a release would be left to it. */
export function recordToRenew(
  writer: Writer,
  { wantedBy, ...previous }: LeaseRecord,
  time: MicroTime,
): LeaseRecord {
  return {
    ...previous,
    ...(writer.spread && wantedBy !== undefined && { wantedBy }),
    leaseDurationSeconds: writer.leaseDuration / 1000,
    renewTime: time,
  };
}

/**
 * The record that gives the lease up. The holder is `''`, never absent: an API server may crash at an absent one (1.36.3,
 * when it chooses a holder). One second is the shortest duration a Lease can have.
 */
export function recordToRelease(previous: LeaseRecord, time: MicroTime): LeaseRecord {
  return {
    ...previous,
    holderIdentity: '',
    leaseDurationSeconds: 1,
    acquireTime: time,
    renewTime: time,
  };
}

/** Three digits of microseconds from a number in [0, 1), and a second such number from its further digits. */
function digits(chance: number): bigint {
  return BigInt(Math.floor(chance * 1000));
}

function further(chance: number): number {
  return (chance * 1000) % 1;
}

/** `time` to the millisecond, with microseconds from `chance`. */
function withMicroseconds(time: MicroTime, chance: number): MicroTime {
  const micros = parseMicroseconds(time);
  return micros === undefined ? time : formatMicroseconds((micros / 1000n) * 1000n + digits(chance));
}

/** Up to a millisecond after `time`; undefined when no later time can be written (after the year 9999). */
export function slightlyAfter(time: MicroTime, chance: number): MicroTime | undefined {
  const micros = parseMicroseconds(time);
  if (micros === undefined) return undefined;
  const next = formatMicroseconds(micros + 1n + digits(chance));
  return next > time ? next : undefined;
}

function formatMicroseconds(microseconds: bigint): MicroTime {
  // Before 1970, too, they are counted forward from the millisecond.
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
 * Refuses a version that nobody can go by: versions are compared, and one is the fencing token.
 *
 * @throws LeaseRequestError `LEADER_SERVER_ERROR`
 */
export function refuseStrangeVersion(lock: LeaseLock, version: string): void {
  if (/^\d+$/.test(version)) return;
  throw new LeaseRequestError(
    'LEADER_SERVER_ERROR',
    `The lock of ${lock.describe()} shows the resourceVersion '${readable(version)}': it must be a decimal number.`,
    { maybeCommitted: true },
  );
}

export async function readLease(lock: LeaseLock, call: LeaseCall): Promise<LeaseSnapshot | undefined> {
  const snapshot = await lock.get(call);
  if (snapshot !== undefined) refuseStrangeVersion(lock, snapshot.resourceVersion);
  return snapshot;
}

/**
 * Writes `record` on top of `base`, or as the first there is.
 *
 * @throws LeaseRequestError also `LEADER_WRITE_NOT_KEPT`: the write is answered as done, but what comes back is not what was
 * written. A mutating admission webhook has changed it, or a proxy answers with an old object. Such a write proves nothing.
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

/** `LEADER_WRITE_NOT_KEPT`, with the version in which the server keeps what it made of the write. */
export class WriteNotKeptError extends LeaseRequestError {
  readonly #keptVersion: string;

  constructor(lock: LeaseLock, fields: readonly string[], keptVersion: string) {
    super(
      'LEADER_WRITE_NOT_KEPT',
      `The API server answered that the lease ${lock.describe()} was written, but other values than those written came ` +
        `back in ${fields.join(', ')}. So the write proves nothing, and is made again after a pause. A mutating admission ` +
        `webhook that changes Leases is the likely cause: except leases.coordination.k8s.io from it.`,
      { maybeCommitted: true },
    );
    this.#keptVersion = keptVersion;
  }

  get keptVersion(): string {
    return this.#keptVersion;
  }
}

/** In which fields the answer to a write is not what was written. */
function changedFields(
  base: LeaseSnapshot | undefined,
  record: LeaseRecord,
  { record: kept, uid, resourceVersion }: LeaseSnapshot,
): string[] {
  const fields: string[] = SPEC_FIELDS.filter((field) => kept[field] !== record[field]);
  // A note of who asks for the lease must be kept. That nobody asks any more is left to the holder.
  if (record.wantedBy !== undefined && kept.wantedBy !== record.wantedBy) fields.push('wantedBy');
  if (base === undefined) return fields;
  if (uid !== base.uid) fields.push('uid');
  // A write that changes nothing gets no version.
  const mayBeTheSame = sameRecord(base.record, record) && resourceVersion === base.resourceVersion;
  if (!mayBeTheSame && !isNewer(resourceVersion, base.resourceVersion)) fields.push('resourceVersion');
  return fields;
}
