import type { ElectionCondition, ElectorState } from '../elector.js';
import type { LeaderError } from '../errors.js';
import type { WatchState } from '../watch.js';

/** The states of a watch, the worst first. */
const BY_TROUBLE: readonly WatchState[] = ['denied', 'unsupported', 'connecting', 'closed', 'open'];

/** Whether a process campaigns that follows in these states of several Leases. It has one candidacy for all of them. */
export function campaignsIn(following: readonly { readonly campaigns?: false }[]): {
  readonly campaigns?: false;
} {
  return following.some(({ campaigns }) => campaigns === false) ? { campaigns: false } : {};
}

/** The condition of an election that is kept in several Leases: the problems of all of them, and the worst watch. */
export function conditionOf(
  states: readonly ElectorState[],
): ElectionCondition & { readonly error: LeaderError | undefined } {
  const conditions = states.map((state): ElectionCondition =>
    state.kind === 'idle' || state.kind === 'stopped' ? {} : state,
  );
  const problems = conditions.flatMap((each) => each.problems ?? []);
  const watch = BY_TROUBLE.find((state) => conditions.some((each) => each.watch === state));
  return { problems, error: problems[0], ...(watch !== undefined && { watch }) };
}
