/**
 * The record: what a Lease says in its spec, in the words of coordination.k8s.io/v1.
 *
 * Its times are strings of exactly six fractional digits, as the API server demands and prints. They are
 * written for people and for other implementations, and compared only with each other, for equality or
 * order: no remote timestamp ever meets a local clock (design.md §4 rule 1).
 */
import type { WallMs } from './clock.js';

declare const microTime: unique symbol;

/** RFC 3339 in UTC with six fractional digits, e.g. `2026-11-21T07:15:00.123456Z`. */
export type MicroTime = string & { readonly [microTime]: true };

/** The spec of a Lease. What else a spec holds travels beside it and is written back untouched. */
export interface LeaseRecord {
  /** Who holds the lease; `''` when nobody does (released, or never held). */
  readonly holderIdentity: string;
  /** How long after their first sight of this record others must wait. Absent in hand-made Leases. */
  readonly leaseDurationSeconds: number | undefined;
  readonly acquireTime: MicroTime | undefined;
  readonly renewTime: MicroTime | undefined;
  /**
   * How often the lease has changed hands. Every holder counts, if only to 0. Absent in a Lease that the server of a
   * coordinated election has made and nobody has claimed, and in hand-made ones.
   */
  readonly leaseTransitions: number | undefined;
  /**
   * Who asks the holder to hand over to it. Not in the spec but in an annotation: to ask is no renewal, and those who
   * know nothing of it are not disturbed.
   */
  readonly wantedBy?: string;
  /** In a coordinated election: whom the server wants to hold the lease when the holder has given it up. */
  readonly preferredHolder?: string;
  /**
   * In a coordinated election: the `renewTime` of the last record that a holder wrote. Not in the spec but in an
   * annotation, which is still there when the server has put another name into the spec.
   */
  readonly heldAt?: MicroTime;
}

/** Whether two records say the same. One that was only relabelled, asked for, or promised to another is no renewal, one with other times is. */
export function sameRecord(a: LeaseRecord, b: LeaseRecord): boolean {
  return (
    a.holderIdentity === b.holderIdentity &&
    a.renewTime === b.renewTime &&
    a.acquireTime === b.acquireTime &&
    a.leaseTransitions === b.leaseTransitions &&
    a.leaseDurationSeconds === b.leaseDurationSeconds
  );
}

/**
 * Wall time as a MicroTime. JavaScript knows milliseconds only; the last three digits come from `random`
 * ([0, 1)), so that two processes of one name that write in the same millisecond write different records.
 */
function toMicroTime(at: WallMs, random: number): MicroTime {
  return formatMicroseconds(BigInt(Math.floor(at)) * 1000n + BigInt(Math.floor(random * 1000)));
}

/**
 * `at`, or up to a millisecond after `previous` when the wall clock stands still or has stepped back. So no two
 * writes of one tenure are equal: an API server answers an identical update without storing it, and others
 * would take the unchanged record for a missed renewal.
 */
export function toMicroTimeAfter(previous: MicroTime, at: WallMs, random: number): MicroTime {
  const now = toMicroTime(at, random);
  if (now > previous) return now;
  const micros = parseMicroseconds(previous);
  if (micros === undefined) return now;
  const next = formatMicroseconds(micros + 1n + BigInt(Math.floor(random * 1000)));
  // After the year 9999 there is no time that an API server takes.
  return next > previous ? next : now;
}

/** `time` to the millisecond, with microseconds from `random` ([0, 1)). */
export function withMicroseconds(time: MicroTime, random: number): MicroTime {
  const micros = parseMicroseconds(time);
  return micros === undefined
    ? time
    : formatMicroseconds((micros / 1000n) * 1000n + BigInt(Math.floor(random * 1000)));
}

/** `time` and up to a millisecond, by `random` ([0, 1)); undefined when there is none that is later. */
export function slightlyAfter(time: MicroTime, random: number): MicroTime | undefined {
  const micros = parseMicroseconds(time);
  if (micros === undefined) return undefined;
  const next = formatMicroseconds(micros + 1n + BigInt(Math.floor(random * 999)));
  // After the year 9999 there is no time that an API server takes.
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
