/**
 * The present problems, by the kind of request that failed. Pure. A problem stays until a request of its kind succeeds, or
 * until no request of that kind is wanted: a successful read says nothing about writes.
 */
import { LONG_AGO, NEVER, after, earlier, later, type Instant, type MonotonicMs } from './clock.js';
import { LeaderError, LeaseRequestError, readable } from './errors.js';
import { heldUntil, holderIn, type Observation, type Validity } from './observation.js';
import type { ResolvedElectionOptions } from './options.js';

/** The kinds of requests, the most important first. */
const KINDS = ['write', 'read', 'release', 'watch', 'ask'] as const;

/** The kind of request that failed. */
export type ProblemKind = (typeof KINDS)[number];

/** The present problems, one for each kind of request at most. */
export type Problems = Readonly<Partial<Record<ProblemKind, Problem>>>;

interface Problem {
  /** Undefined if there is no problem. */
  readonly error: LeaderError | undefined;
  /** When the problem ends by itself. */
  readonly until: MonotonicMs;
  /** When the newest successful request of this kind was sent. */
  readonly succeededAt: MonotonicMs;
}

const WELL: Problem = { error: undefined, until: NEVER, succeededAt: LONG_AGO };

/** The newest error of each problem, the most important first. */
export function problemsIn(problems: Problems): readonly LeaderError[] {
  return KINDS.map((kind) => problems[kind]?.error).filter((error) => error !== undefined);
}

/** When the next problem ends by itself. */
export function nextEndOf(problems: Problems): MonotonicMs {
  return KINDS.reduce((next, kind) => {
    const { error, until } = problems[kind] ?? WELL;
    return error === undefined ? next : earlier(next, until);
  }, NEVER);
}

/** Adds the failure of a request sent at `sentAt`, unless that one or a later one of its kind has succeeded since. */
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

/** Ends the problem of this kind: a request sent at `sentAt` succeeded. */
export function withSuccess(problems: Problems, kind: ProblemKind, sentAt: MonotonicMs): Problems {
  const { succeededAt } = problems[kind] ?? WELL;
  return { ...problems, [kind]: { ...WELL, succeededAt: later(succeededAt, sentAt) } };
}

/** Ends the problem of this kind: no request of this kind is wanted. */
export function withoutProblem(problems: Problems, kind: ProblemKind): Problems {
  const known = problems[kind];
  if (known?.error === undefined) return problems;
  return { ...problems, [kind]: { ...WELL, succeededAt: known.succeededAt } };
}

/** Drops the problems that have ended by themselves. */
export function withoutPast(problems: Problems, now: MonotonicMs): Problems {
  return KINDS.reduce<Problems>(
    (left, kind) => ((left[kind]?.until ?? NEVER) <= now ? withoutProblem(left, kind) : left),
    problems,
  );
}

/** Whether both show users the same errors. */
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

// Errors

/** @param cause the last failure. */
export function releaseFailed(leaseName: string, cause: LeaderError | undefined): LeaderError {
  return new LeaderError(
    'LEADER_RELEASE_FAILED',
    `The release of '${leaseName}' could not be confirmed. If it failed, others take over when the lease expires.`,
    { cause },
  );
}

/**
 * A lease is long if others must wait this many times our own `leaseDuration`. Replicas with different options, as during a
 * rollout, differ by less.
 */
const MANY = 10;

/** Until when the lease of another holder is a long one. */
export function longLeaseUntil(observation: Observation, leaseDuration: number): MonotonicMs {
  if (observation.kind === 'present' && observation.mine) return LONG_AGO;
  return after(heldUntil(observation), -MANY * leaseDuration);
}

/**
 * The error if the present or last holder must be respected for so long that its duration was probably mistyped or forged.
 * It is respected nevertheless.
 */
export function longLease(
  observation: Observation,
  now: MonotonicMs,
  {
    lease: described,
    options: { leaseDuration },
  }: { readonly lease: string; readonly options: ResolvedElectionOptions },
): LeaderError | undefined {
  if (now >= longLeaseUntil(observation, leaseDuration)) return undefined;
  const left = heldUntil(observation) - now;
  const lease = `'${described}'`;
  const holder = readable(holderIn(observation));
  return new LeaderError(
    'LEADER_LONG_LEASE',
    `${holder === '' ? `The last holder of the lease ${lease}` : `'${holder}' holds the lease ${lease} and`} must be ` +
      `respected for another ${String(Math.round(left / 1000))} s, but this process' leaseDuration is ` +
      `${String(leaseDuration / 1000)} s. If that is a mistake: make sure that the holder does not run, delete the Lease, ` +
      `and restart every replica, because a running process keeps respecting what it has seen (docs/operations.md).`,
  );
}

/** What the holder as last seen does that its fleet should not: the first of these, or undefined. */
export function strangeHolder(
  observation: Observation,
  hasNamesake: boolean,
  {
    lease: described,
    options: { leaseDuration, identity },
  }: { readonly lease: string; readonly options: ResolvedElectionOptions },
): LeaderError | undefined {
  const lease = `'${described}'`;
  if (hasNamesake)
    return new LeaderError(
      'LEADER_NAMESAKE',
      `Another process with the identity '${readable(identity)}' writes the lease ${lease}. It is respected like any other ` +
        `holder, but other programs cannot tell the two apart. Give each process an identity of its own: leave the option ` +
        `identity out, or build it from the pod's name.`,
    );
  const seconds = otherDurationIn(observation, leaseDuration);
  if (seconds === undefined) return undefined;
  return new LeaderError(
    'LEADER_DURATIONS_DIFFER',
    `'${readable(holderIn(observation))}' holds the lease ${lease} with a leaseDuration of ${String(seconds)} s, but this ` +
      `process' leaseDuration is ${String(leaseDuration / 1000)} s. Do all replicas run with the same timing options (during ` +
      `a rollout they may differ), and does another application use this lease name?`,
  );
}

/** The duration in another holder's record, in seconds, if it differs from ours; undefined if it says nothing about its options. */
function otherDurationIn(observation: Observation, leaseDuration: number): number | undefined {
  if (observation.kind !== 'present' || observation.mine) return undefined;
  const { holderIdentity, leaseDurationSeconds: seconds, acquireTime } = observation.snapshot.record;
  // A name without acquireTime was entered by a controller or a person; one second is what a holder writes that exits.
  const isTelling = holderIdentity !== '' && acquireTime !== undefined && seconds !== 1;
  return isTelling && seconds !== undefined && seconds * 1000 !== leaseDuration ? seconds : undefined;
}

/** Why a term has run out, if not because renewals failed. @param dueAt when this process would have done the next thing. */
export function whyRunOut(
  { validity, dueAt }: { readonly validity: Validity; readonly dueAt: MonotonicMs },
  { now, date }: Instant,
  { leaseName, retryPeriod }: Pick<ResolvedElectionOptions, 'leaseName' | 'retryPeriod'>,
): LeaderError | undefined {
  const ahead = date - validity.untilDate - (now - validity.until);
  const late = now - dueAt;
  if (late >= retryPeriod)
    return new LeaderError(
      'LEADER_PROCESS_PAUSED',
      `This process did not run for ${seconds(late)}, so its term on '${leaseName}' ran out. Its event loop was blocked by ` +
        `synchronous work, or the process was stopped, or it got no CPU (limits.cpu).`,
    );
  if (now >= validity.until || ahead < retryPeriod) return undefined;
  return new LeaderError(
    'LEADER_CLOCK_JUMPED',
    `The wall clock went ahead of the monotonic clock by ${seconds(ahead)} during the term on '${leaseName}', so the term ` +
      `counts as run out. The clock was set, or this machine was suspended.`,
  );
}

function seconds(ms: number): string {
  return `${String(Math.round(ms / 100) / 10)} s`;
}

/** @param inARow the number of conflicts in a row. */
export function tooManyConflicts(lease: string, inARow: number): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_WRITE_CONFLICT',
    `${String(inARow)} writes of the lease ${lease} in a row were refused as conflicts (409), although each was based on ` +
      `the version read just before. Retrying every retryPeriod. Does something else keep writing this lease (on ` +
      `Kubernetes see its metadata.managedFields), or does a proxy answer reads from a cache?`,
    { maybeCommitted: false },
  );
}

/** Watch after watch is useless. */
export function watchBroken(lease: string): LeaderError {
  return new LeaderError(
    'LEADER_WATCH_BROKEN',
    `The last watches of the lease ${lease} did not open, ended within retryPeriod, or did not show what was written. The ` +
      `lease is polled every retryPeriod in between, so a hand-over takes that much longer. Does a proxy, gateway or load ` +
      `balancer on the way cut or buffer long answers?`,
  );
}

/** The permission to watch is missing. */
export function watchDenied(lease: string, cause: LeaderError): LeaderError {
  const message =
    `Watching the lease ${lease} is not permitted. It is polled every retryPeriod instead, so a hand-over takes ` +
    `that much longer. ${cause.message}`;
  return new LeaderError('LEADER_WATCH_DENIED', message, { cause });
}
