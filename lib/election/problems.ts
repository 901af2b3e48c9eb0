/**
 * What is wrong at the moment, by the kind of request that fails. Pure. A problem stays until a request of its kind succeeds,
 * or until none of that kind is wanted any more: that reads are answered says nothing about writes.
 */
import { LONG_AGO, NEVER, earlier, later, type MonotonicMs } from './clock.js';
import type { LeaderError } from './errors.js';

/** What a request is for; what matters most first. */
const KINDS = ['write', 'read', 'release', 'watch', 'ask'] as const;

/** See the top of this file. */
export type ProblemKind = (typeof KINDS)[number];

/** See the top of this file. */
export type Problems = Readonly<Partial<Record<ProblemKind, Problem>>>;

interface Problem {
  /** Undefined: all is well. */
  readonly error: LeaderError | undefined;
  /** When it is over by itself. */
  readonly until: MonotonicMs;
  /** When the newest request of the kind that succeeded had been sent. */
  readonly succeededAt: MonotonicMs;
}

const WELL: Problem = { error: undefined, until: NEVER, succeededAt: LONG_AGO };

/** Each problem's newest error; what matters most first. */
export function problemsIn(problems: Problems): readonly LeaderError[] {
  return KINDS.map((kind) => problems[kind]?.error).filter((error) => error !== undefined);
}

/** When the next problem is over by itself. */
export function nextEndOf(problems: Problems): MonotonicMs {
  return KINDS.reduce((next, kind) => {
    const { error, until } = problems[kind] ?? WELL;
    return error === undefined ? next : earlier(next, until);
  }, NEVER);
}

/** A request sent at that instant failed. If it has succeeded all the same, or a later one of its kind, that is over already. */
export function withProblem(
  problems: Problems,
  kind: ProblemKind,
  error: LeaderError,
  sentAt: MonotonicMs,
  until = NEVER,
): Problems {
  const { succeededAt } = problems[kind] ?? WELL;
  return sentAt <= succeededAt ? problems : { ...problems, [kind]: { error, until, succeededAt } };
}

/** A request sent at that instant succeeded. */
export function withSuccess(problems: Problems, kind: ProblemKind, sentAt: MonotonicMs): Problems {
  const { succeededAt } = problems[kind] ?? WELL;
  return { ...problems, [kind]: { ...WELL, succeededAt: later(succeededAt, sentAt) } };
}

/** Nobody wants a request of this kind now. */
export function withoutProblem(problems: Problems, kind: ProblemKind): Problems {
  const known = problems[kind];
  if (known?.error === undefined) return problems;
  return { ...problems, [kind]: { ...WELL, succeededAt: known.succeededAt } };
}

/** Without those that are over by themselves. */
export function withoutPast(problems: Problems, now: MonotonicMs): Problems {
  return KINDS.reduce<Problems>(
    (left, kind) => ((left[kind]?.until ?? NEVER) <= now ? withoutProblem(left, kind) : left),
    problems,
  );
}

/** Whether both say the same to people. */
export function sameProblems(a: Problems, b: Problems): boolean {
  return (
    a === b ||
    KINDS.every((kind) => {
      const [one, other] = [a[kind]?.error, b[kind]?.error];
      return one?.code === other?.code && one?.message === other?.message;
    })
  );
}
