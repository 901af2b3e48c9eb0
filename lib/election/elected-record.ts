/**
 * Coordinated elections (KEP-4355): the API server writes into the Lease who is to hold it, and clears `acquireTime`.
 * Its word decides who may claim the lease, never when: it judges by wall clocks, so whoever held the lease before
 * may still be sure of its term. The elected one waits for that by its own clock and then claims it like any lease,
 * by a conditional write. So two never lead, whatever the server writes (docs/decisions.md).
 */
import type { LeaseRecord } from './lease-record.js';

/**
 * Whether the server has put `candidate` up for the lease, and nobody has claimed it since: a claim says when it was.
 * Undefined is no candidate of anything.
 */
export function isElected(record: LeaseRecord, candidate: string | undefined): boolean {
  return candidate !== undefined && record.holderIdentity === candidate && record.acquireTime === undefined;
}

/** Whether the server wants another than `identity` to hold the lease. */
export function isOutvoted({ preferredHolder = '' }: LeaseRecord, identity: string): boolean {
  return preferredHolder !== '' && preferredHolder !== identity;
}
