/** The term of the running code, and the async context in which an election runs. */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { LeaderError } from './errors.js';
import type { LeadershipTerm } from './term.js';

/** The name of an election whose options contain none. */
export const DEFAULT_ELECTION = 'default';

interface EnteredTerm {
  readonly election: string;
  readonly term: LeadershipTerm;
  readonly outer: EnteredTerm | undefined;
}

const entered = new AsyncLocalStorage<EnteredTerm>();
/** The terms made up by unit tests. */
const faked = new AsyncLocalStorage<EnteredTerm>();
/** A gate is passed many times in one term, so the last entry is reused where it is equal. */
let lastEntry: EnteredTerm | undefined;

/** Runs `work` so that {@link currentTerm} returns `term` in it and in everything it starts. */
export function runInTerm<T>(election: string, term: LeadershipTerm, work: () => T): T {
  // Entries that the new one hides are dropped, or work that reschedules itself would build an endless chain.
  let outer = entered.getStore();
  while (outer?.election === election) outer = outer.outer;
  if (lastEntry?.term !== term || lastEntry.outer !== outer || lastEntry.election !== election) {
    lastEntry = { election, term, outer };
  }
  return entered.run(lastEntry, work);
}

/** Whether the calling code is work of `term`, at any level of nested gates. */
export function isInTerm(term: LeadershipTerm): boolean {
  let candidate = entered.getStore();
  while (candidate !== undefined && candidate.term !== term) candidate = candidate.outer;
  return candidate !== undefined;
}

/** Like {@link runInTerm}, for a term made up by a unit test. A gate runs its method in this term, whoever leads. */
export function runInFakedTerm<T>(election: string, term: LeadershipTerm, work: () => T): T {
  const outer = faked.getStore();
  return faked.run({ election, term, outer }, () => runInTerm(election, term, work));
}

/** The term made up by a unit test for `election`, over or not; undefined outside unit tests. */
export function fakedTerm(election: string): LeadershipTerm | undefined {
  let candidate = faked.getStore();
  while (candidate !== undefined && candidate.election !== election) candidate = candidate.outer;
  return candidate?.term;
}

/**
 * The term of the running gated work: that of `election` if given, otherwise that of the innermost gate. The term may
 * already be over; check with `throwIfOver()`.
 *
 * @throws LeaderError `LEADER_NO_CURRENT_TERM` outside gated work, or when no gate around it belongs to `election`.
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

/** Calls a function in an async context that was captured before. */
export type Enter = <T>(work: () => T) => T;

/**
 * Captures the caller's async context: what `AsyncLocalStorage` returns there, and with it `currentTerm()`.
 *
 * An election runs in the context of its `run()`. Calls from a user's code in another context (a request that steps down,
 * work that finds its term over) enter that context through this. Otherwise terms, hooks and renewals would continue in the
 * context of that request.
 */
export function captureContext(): Enter {
  const resource = new AsyncResource('nestjs-leader.election');
  return (work) => resource.runInAsyncScope(work);
}
