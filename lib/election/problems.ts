/**
 * What is wrong at the moment, by the kind of request that fails. Pure. A problem stays until a request of its kind succeeds,
 * or until none of that kind is wanted any more: that reads are answered says nothing about writes.
 */
import { LONG_AGO, NEVER, after, earlier, later, type MonotonicMs } from './clock.js';
import { LeaderError, LeaseRequestError, readable } from './errors.js';
import { heldUntil, holderIn, type Observation } from './observation.js';
import type { ResolvedElectionOptions } from './options.js';

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
      const one = a[kind]?.error;
      const other = b[kind]?.error;
      return one === other || (one?.code === other?.code && one?.message === other?.message);
    })
  );
}

// What is told

/** @param cause what failed last. */
export function releaseFailed(leaseName: string, cause: LeaderError | undefined): LeaderError {
  return new LeaderError(
    'LEADER_RELEASE_FAILED',
    `The release of '${leaseName}' could not be made sure of. Others take over when the lease runs out.`,
    { cause },
  );
}

/** From how many times the own duration on. Replicas that are given other options in a roll-out differ by less. */
const MANY = 10;

/** Until when another's lease is a long one. */
export function longLeaseUntil(observation: Observation, leaseDuration: number): MonotonicMs {
  if (observation.kind === 'present' && observation.mine) return LONG_AGO;
  return after(heldUntil(observation), -MANY * leaseDuration);
}

/**
 * What is wrong when whoever holds the lease, or held one that is gone, must be waited for so long that it is hardly meant:
 * a duration that was mistyped or forged. It is respected all the same.
 */
export function longLease(
  observation: Observation,
  now: MonotonicMs,
  { leaseName, leaseNamespace, leaseDuration }: ResolvedElectionOptions,
): LeaderError | undefined {
  if (now >= longLeaseUntil(observation, leaseDuration)) return undefined;
  const left = heldUntil(observation) - now;
  const lease = `'${leaseNamespace}/${leaseName}'`;
  const holder = readable(holderIn(observation));
  return new LeaderError(
    'LEADER_LONG_LEASE',
    `${holder === '' ? `Whoever held the lease ${lease} last` : `'${holder}' holds the lease ${lease} and`} asked others to ` +
      `wait, of which ${String(Math.round(left / 1000))} s are left, and this process' leaseDuration is ` +
      `${String(leaseDuration / 1000)} s. If that is not meant: make sure that no such holder runs, delete the Lease, and ` +
      `restart every replica, because a process respects what it has seen until it ends (docs/operations.md).`,
  );
}

/** @param inARow how many. */
export function tooManyConflicts(lease: string, inARow: number): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_WRITE_CONFLICT',
    `${String(inARow)} writes of the lease ${lease} in a row were refused as conflicts (409), although each was ` +
      `based on what was read just before. It is tried again once a retryPeriod. Does something else write this Lease all ` +
      `the time (see its metadata.managedFields), or does a proxy answer reads from a cache?`,
    { maybeCommitted: false },
  );
}

/** The watch is refused for want of a permission. */
export function watchDenied(lease: string, cause: LeaderError): LeaderError {
  const message =
    `Watching the lease ${lease} is not permitted, so it is polled every retryPeriod: a hand-over takes ` +
    `that much longer. ${cause.message}`;
  return new LeaderError('LEADER_WATCH_DENIED', message, { cause });
}
