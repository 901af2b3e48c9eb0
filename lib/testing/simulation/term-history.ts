import type { LeadershipTerm, LeaseSnapshot } from '../../election/internal.js';

/**
 * What somebody did to the Lease by hand during a term. After a deletion, a process that was shown the deleted Lease,
 * in any version, must respect its holder; one that was not, cannot (docs/guarantees.md, "What is not guaranteed").
 */
export type Interference =
  { readonly kind: 'edited' } | { readonly kind: 'deleted'; readonly last: LeaseSnapshot };

/** What the witness of one Lease asks a term. A term on two Leases has another token on each. */
export type WitnessedTerm = Pick<LeadershipTerm, 'fencingToken' | 'signal' | 'isOver'>;

/** A term as seen from outside. */
export interface TermHistory {
  readonly term: WitnessedTerm;
  /**
   * Until when the term may be certain, on its process' monotonic clock. It counts from the sending of the newest of
   * its writes that was stored, whether or not the process knows that it was.
   */
  certainUntil: number;
  interference: Interference | undefined;
}
