/** What a piece of work threw because its term ended, told apart from errors of its own. */
import { isLeaderError } from './errors.js';
import type { LeadershipTerm } from './term.js';

/** An error's causes are looked through this far: they may form a circle. */
const DEEPEST_CAUSE = 10;

/**
 * Whether `error` came of the end of a term: it is a `LEADER_TERM_OVER`, or has one among its causes, as the `AbortError`
 * has that Node's timers, streams and events throw when the term's signal fires.
 *
 * With `term`: of that term, and no other. Then an abort that does not say what it came of (axios, clients that drop the
 * signal's reason) counts, too, once the term's signal has fired. Never throws.
 */
export function isTermOver(error: unknown, term?: LeadershipTerm): boolean {
  const chain = causes(error);
  if (term === undefined) return chain.some((cause) => isLeaderError(cause, 'LEADER_TERM_OVER'));
  const { aborted, reason } = term.signal as { aborted: boolean; reason: unknown };
  return aborted && (chain.includes(reason) || (chain.length === 1 && isAbort(error)));
}

/** By name and code: another realm's error, as in Jest, is no instance of this one's classes. */
function isAbort(error: unknown): boolean {
  const { name, code } = error as { name?: unknown; code?: unknown };
  return name === 'AbortError' || code === 'ERR_CANCELED';
}

/** The error, its cause, the cause of that, and so on. */
function causes(error: unknown): unknown[] {
  const chain: unknown[] = [];
  let next = error;
  while (next !== undefined && next !== null && chain.length < DEEPEST_CAUSE) {
    chain.push(next);
    next = (next as { cause?: unknown }).cause;
  }
  return chain;
}
