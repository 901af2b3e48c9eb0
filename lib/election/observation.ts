/** What was last seen of the lease, and when by this process' own clock. */
import type { Validity } from './active-term.js';
import type { MonotonicMs, WallMs } from './clock.js';
import type { LeaseSnapshot } from './lease-lock.js';
import type { MicroTime } from './lease-record.js';
import type { WriteAttempt } from './write-ledger.js';

/** When a record of ours was sent, by both clocks. */
export type Sent = Pick<WriteAttempt, 'sentAt' | 'sentOn'>;

/** What is known about the lease. */
export type Observation =
  /** Nothing yet. */
  | { readonly kind: 'unseen' }
  /** There is no Lease. Whoever held the last one must be respected until `heldUntil`. */
  | {
      readonly kind: 'absent';
      /** The newest version known of what is gone, `'0'` for none. */
      readonly version: string;
      readonly seenAt: MonotonicMs;
      readonly heldUntil: MonotonicMs;
      /** A Lease that was told of since, and until when whoever held one before it must be respected. */
      readonly heard?: { readonly lease: Present; readonly owedBefore: MonotonicMs };
    }
  | {
      readonly kind: 'present';
      readonly snapshot: LeaseSnapshot;
      /** This process wrote that record. */
      readonly mine: boolean;
      /** When the lease was last heard of. */
      readonly seenAt: MonotonicMs;
      /**
       * First sight of this record, plus the *record's* duration: the earliest instant to take over; long ago for one
       * without a holder, unless a Lease that was held has gone before it. Edits
       * of labels or annotations do not move it. Its writer sent it before we first saw it, so its writer's
       * validity, which counts from the sending and is shorter, has ended by then. A record of ours counts from when it
       * was sent: others may have seen it long before its reply came.
       */
      readonly heldUntil: MonotonicMs;
      /**
       * Of a record of ours: until when whoever held another Lease must be respected, which has gone before this one.
       */
      readonly owedBefore?: MonotonicMs | undefined;
      /**
       * Of a record of ours: the validity that it earns, from when it was sent. While that lasts no other process can have
       * taken the lease from it: the clock of another may run faster than ours by leaseDuration ÷ renewDeadline at most.
       */
      readonly validity?: Validity | undefined;
      /** Of a record of ours: somebody else has changed its times since, or our next record answers that. See touch.ts. */
      readonly touch?: Touch | undefined;
      /** Of a record of ours: what the last touch made of `renewTime`, and when it was seen. */
      readonly lastTouch?:
        { readonly seenAt: MonotonicMs; readonly renewTime: MicroTime | undefined } | undefined;
    };

/** `unanswered`: the lease shows what another has made of our record; `answered`: it shows what we wrote on top of that. */
export type Touch = 'unanswered' | 'answered';

/** One of a Lease that is there. */
export type Present = Extract<Observation, { kind: 'present' }>;

/** What is heard of the lease. */
export interface Hearing {
  readonly seenAt: MonotonicMs;
  /** The same instant by the wall clock, which goes on while a machine is suspended. */
  readonly seenOn: WallMs;
  /** When this process sent that record; undefined: it is not the one who wrote it. */
  readonly sent?: Sent | undefined;
  /** This process' own, in milliseconds: where a record says nothing, it is the best guess. */
  readonly leaseDuration: number;
  /** This process' own, in milliseconds. */
  readonly renewDeadline: number;
  /** This process' name, in an election in which the server says who is to hold the lease. */
  readonly candidate?: string | undefined;
  /** The version as of which the lease is known to be gone, if a deletion was told of. */
  readonly deletion?: string;
}

/** The newest version of the lease that was seen, `'0'` for none. */
export function versionOf(observation: Observation): string {
  switch (observation.kind) {
    case 'unseen':
      return '0';
    case 'absent':
      return observation.version;
    case 'present':
      return observation.snapshot.resourceVersion;
  }
}

/** The holder as last seen, `''` for none. */
export function holderOf(observation: Observation): string {
  return observation.kind === 'present' ? observation.snapshot.record.holderIdentity : '';
}
