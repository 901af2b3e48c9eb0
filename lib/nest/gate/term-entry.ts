/** What every call that is work of a term does at its beginning, and when it fails. */
import {
  isLeaderError,
  type Disposer,
  type LeadershipTerm,
  type TermOverError,
} from '../../election/index.js';

/** Counts a call into the term; undefined when that is over: it may have run out between two looks. */
export function enterTerm(term: LeadershipTerm): Disposer | undefined {
  try {
    return term.enter();
  } catch (error) {
    if (isLeaderError(error, 'LEADER_TERM_OVER')) return undefined;
    throw error;
  }
}

/** Whether a call failed with the very error that ended its term: it did as it was told. */
export function isEndOf(term: LeadershipTerm, error: unknown): error is TermOverError {
  return term.signal.aborted && error === term.signal.reason;
}
