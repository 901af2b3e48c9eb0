/** Which term the code that runs at the moment belongs to. Follows `await`, timers and callbacks. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { LeaderError } from './errors.js';
import type { LeadershipTerm } from './term.js';

interface EnteredTerm {
  readonly election: string;
  readonly term: LeadershipTerm;
  readonly outer: EnteredTerm | undefined;
}

const entered = new AsyncLocalStorage<EnteredTerm>();
/** A gate is passed many times in one term: the last entry is used again where it says the same. */
let lastEntry: EnteredTerm | undefined;

/** Runs `work` so that {@link currentTerm} answers `term` in it and in all that it starts. */
export function runInTerm<T>(election: string, term: LeadershipTerm, work: () => T): T {
  // What an inner gate of the same election hides is left out, or work that schedules itself would carry all its past.
  let outer = entered.getStore();
  while (outer?.election === election) outer = outer.outer;
  if (lastEntry?.term !== term || lastEntry.outer !== outer || lastEntry.election !== election) {
    lastEntry = { election, term, outer };
  }
  return entered.run(lastEntry, work);
}

/** Whether the code that runs at the moment is work of `term`, of whatever gate around it. */
export function isInTerm(term: LeadershipTerm): boolean {
  let candidate = entered.getStore();
  while (candidate !== undefined && candidate.term !== term) candidate = candidate.outer;
  return candidate !== undefined;
}

/**
 * The term that the running gated work belongs to: of `election` if named, otherwise that of the innermost
 * gate. The term may be over already; `throwIfOver()` tells.
 *
 * @throws LeaderError `LEADER_NO_CURRENT_TERM` outside gated work, or when no gate around it is of `election`.
 */
export function currentTerm(election?: string): LeadershipTerm {
  let candidate = entered.getStore();
  while (candidate !== undefined && election !== undefined && candidate.election !== election) {
    candidate = candidate.outer;
  }
  if (candidate !== undefined) return candidate.term;
  throw new LeaderError(
    'LEADER_NO_CURRENT_TERM',
    `currentTerm(${election === undefined ? '' : `'${election}'`}) was called outside gated work` +
      `${election === undefined ? '' : ' of that election'}. Call it in a method under @OnlyWhenLeader() or in ` +
      `a task of runAsLeader(), or in what they call; in a unit test, inside runInFakeTerm().`,
  );
}
