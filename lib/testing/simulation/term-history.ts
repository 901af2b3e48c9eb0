import type { LeadershipTerm, LeaseSnapshot } from '../../election/index.js';

/**
 * What somebody did to the Lease by hand during a term. Of a deletion it matters who was shown the Lease that was deleted,
 * in whatever version: whoever was must respect its holder, whoever was not cannot (docs/guarantees.md, "What is not
 * guaranteed").
 */
export type Interference =
  { readonly kind: 'edited' } | { readonly kind: 'deleted'; readonly last: LeaseSnapshot };

/** A term as it looks from outside. */
export interface TermHistory {
  readonly term: LeadershipTerm;
  /**
   * Until when it may be certain, on its process' monotonic clock: from the sending of the newest write of its own that
   * was stored, whether the process knows that or not.
   */
  certainUntil: number;
  interference: Interference | undefined;
}
