import {
  isLeaderError,
  type Disposer,
  type LeadershipTerm,
  type TermOverError,
} from '../../election/index.js';

/** Counts a call as work of the term. Undefined if the term is over, which may have expired since the caller looked. */
export function enterTerm(term: LeadershipTerm): Disposer | undefined {
  try {
    return term.enter();
  } catch (error) {
    if (isLeaderError(error, 'LEADER_TERM_OVER')) return undefined;
    throw error;
  }
}

/** The error of a term that is over. Ends a term that has run out, if nobody has yet. */
export function errorOfOver(term: LeadershipTerm): TermOverError {
  try {
    term.throwIfOver();
  } catch (error) {
    return error as TermOverError;
  }
  throw new Error('The term is not over.');
}
