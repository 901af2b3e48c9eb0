/** Which term the code that runs at the moment belongs to, and in which async context an election lives. */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { LeaderError } from './errors.js';
import type { LeadershipTerm } from './term.js';

interface EnteredTerm {
  readonly election: string;
  readonly term: LeadershipTerm;
  readonly outer: EnteredTerm | undefined;
}

const entered = new AsyncLocalStorage<EnteredTerm>();
/** The terms that unit tests made up, beside `entered`. */
const faked = new AsyncLocalStorage<EnteredTerm>();
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

/** As {@link runInTerm}, in a term that a unit test made up. A gate runs its method in this term whoever leads. */
export function runInFakedTerm<T>(election: string, term: LeadershipTerm, work: () => T): T {
  const outer = faked.getStore();
  return faked.run({ election, term, outer }, () => runInTerm(election, term, work));
}

/** The term that a unit test made up for `election`, over or not; undefined outside unit tests. */
export function fakedTerm(election: string): LeadershipTerm | undefined {
  let candidate = faked.getStore();
  while (candidate !== undefined && candidate.election !== election) candidate = candidate.outer;
  return candidate?.term;
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

/** Calls a function in an async context that was captured before. */
export type Enter = <T>(work: () => T) => T;

/**
 * Captures the async context of whoever calls: what `AsyncLocalStorage` answers there, `currentTerm()` among it.
 *
 * An election lives in the context of its `run()`. Whatever a user's code brings about from another one (a request that
 * steps down, work that finds its term over) is entered through this, or terms, hooks and renewals would go on in that
 * request for ever.
 */
export function captureContext(): Enter {
  const resource = new AsyncResource('nestjs-leader.election');
  return (work) => resource.runInAsyncScope(work);
}
