/** What every call that is work of a term does at its beginning. */
import { isLeaderError, type Disposer, type LeadershipTerm } from '../../election/index.js';

/** Counts a call into the term; undefined when that is over: it may have run out between two looks. */
export function enterTerm(term: LeadershipTerm): Disposer | undefined {
  try {
    return term.enter();
  } catch (error) {
    if (isLeaderError(error, 'LEADER_TERM_OVER')) return undefined;
    throw error;
  }
}
