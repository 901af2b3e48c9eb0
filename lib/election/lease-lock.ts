/** The port between the election and wherever the Lease is kept. */
import type { LeaseRecord } from './lease-record.js';

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

/** How one request is to be made. */
export interface LeaseCall {
  /** Ends the request: its deadline, or the elector stopping. The lock adds no time-out of its own. */
  readonly signal: AbortSignal;
  /** An earlier request is still unanswered: use another connection than any that exists. */
  readonly newConnection: boolean;
  /**
   * To be told what the request waits for before it can be sent, in words, and undefined when it is sent: that time is not
   * the server's, and counts by itself.
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

/** What a watch reports. Only ever a hint: events may be late, repeated, or missing without an error. */
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

/** Whether resourceVersion `a` was given out after `b`. Of two decimal numbers the longer one is larger. */
export function isNewer(a: string, b: string): boolean {
  const [newer, older] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  return newer.length === older.length ? newer > older : newer.length > older.length;
}
