/**
 * Decides what the election does next (ARCHITECTURE.md, rules 3, 6, 7 and 9). Pure: the same view gives the same decision, so
 * a table can test it. It never uses a remote timestamp. A sighting can end a term; only our own conditional write begins or
 * extends one.
 */
import { LONG_AGO, NEVER, after, earlier, later, type MonotonicMs } from './clock.js';
import type { LeaseSnapshot } from './lease.js';
import { heldUntil, type Observation } from './observation.js';
import type { ResolvedElectionOptions } from './options.js';
import type { TermEndReason } from './term.js';

/** Everything that a decision depends on. */
export interface ElectionView {
  readonly now: MonotonicMs;
  readonly observation: Observation;
  /** The observation may be stale: after a conflict, or a write of unknown outcome. */
  readonly doubtful: boolean;
  /** Another holder's Lease may have been deleted while no watch was open. Default: false. */
  readonly hasGap?: boolean;
  /** No request before this instant: the server asked us to wait. */
  readonly notBefore: MonotonicMs;
  /** No read before this instant: the last one still has time to be answered, or has failed. Default: no limit. */
  readonly noReadBefore?: MonotonicMs;
  /** No write before this instant: the last one still has time to be answered, or has failed and the lease is unchanged. */
  readonly noWriteBefore: MonotonicMs;
  /** The present term, also during a hand-over. */
  readonly term: TermView | undefined;
  /** No claim before this instant: a cool-down, or work of the last term that still runs. */
  readonly campaignAt: MonotonicMs;
  /** When to poll; undefined while a watch is open. */
  readonly pollAt: MonotonicMs | undefined;
  /** When to read although a watch is open, because it has been silent for too long. Default: never. */
  readonly silentAt?: MonotonicMs;
  /** When the process that holds the lease was proven dead. Default: it was not. */
  readonly goneAt?: MonotonicMs | undefined;
  /** Whether this process wants to lead at the moment. */
  readonly stands: boolean;
  readonly options: Pick<ResolvedElectionOptions, 'identity' | 'lockDelay' | 'reclaimOwnLease'>;
}

/** The facts of this process' own term that a decision depends on. */
export interface TermView {
  readonly renewAt: MonotonicMs;
  /** When `termLimit` is reached; `NEVER` without a limit. */
  readonly limitAt: MonotonicMs;
  /** The term is already being handed over. */
  readonly closing: boolean;
}

/** See {@link decide}. */
export type Decision =
  | { readonly do: 'wait'; readonly until: MonotonicMs }
  | { readonly do: 'read' }
  | { readonly do: 'create' }
  | { readonly do: 'takeOver'; readonly base: LeaseSnapshot }
  | { readonly do: 'renew'; readonly base: LeaseSnapshot }
  /** The lease is lost, and with it the term. */
  | { readonly do: 'lose'; readonly reason: TermEndReason }
  | { readonly do: 'handOver'; readonly reason: TermEndReason };

/** How long the others leave a released lease to the candidate that asked for it, in milliseconds. */
const COURTESY_MS = 250;

/** What to do next, given `view`. */
export function decide(view: ElectionView): Decision {
  return view.term === undefined ? decideAsFollower(view) : decideAsHolder(view, view.term);
}

function decideAsHolder(view: ElectionView, term: TermView): Decision {
  const { observation, now } = view;
  const lost = lossOf(observation);
  if (lost !== undefined) return { do: 'lose', reason: lost };
  const reason = reasonToHandOver(view, term);
  if (reason !== undefined) return { do: 'handOver', reason };

  const limitAt = term.closing ? NEVER : term.limitAt;
  const waitFor = (at: MonotonicMs): Decision => ({ do: 'wait', until: earlier(at, limitAt) });
  if (observation.kind !== 'present' || view.doubtful)
    return now >= readableAt(view) ? { do: 'read' } : waitFor(readableAt(view));
  // If somebody else has edited our record, renew at once: until then nothing proves that we hold the lease.
  const dueAt = observation.touch === 'unanswered' ? LONG_AGO : term.renewAt;
  const renewAt = later(later(dueAt, view.notBefore), view.noWriteBefore);
  return now < renewAt ? waitFor(renewAt) : { do: 'renew', base: observation.snapshot };
}

function reasonToHandOver(
  { now, stands, observation, options }: ElectionView,
  term: TermView,
): TermEndReason | undefined {
  if (term.closing) return undefined;
  if (now >= term.limitAt) return 'termLimit';
  return isAskedFor(observation, options.identity) || !stands ? 'steppedDown' : undefined;
}

/** Whether somebody else has asked the holder to hand over: another candidate, or a person by the command line. */
function isAskedFor(observation: Observation, identity: string): boolean {
  if (observation.kind !== 'present') return false;
  const { wantedBy } = observation.snapshot.record;
  return wantedBy !== undefined && wantedBy !== identity;
}

function lossOf(observation: Observation): TermEndReason | undefined {
  if (observation.kind === 'absent') return 'leaseGone';
  if (observation.kind === 'unseen' || observation.mine) return undefined;
  return observation.snapshot.record.holderIdentity === '' ? 'released' : 'superseded';
}

function decideAsFollower(view: ElectionView): Decision {
  const { observation, now } = view;
  const readableFrom = readableAt(view);
  if (observation.kind === 'unseen' || view.doubtful) {
    return now >= readableFrom ? { do: 'read' } : { do: 'wait', until: readableFrom };
  }
  const mayWriteAt = later(view.notBefore, view.noWriteBefore);
  const standsFrom = view.stands ? view.campaignAt : NEVER;
  const wantedAt = later(claimableAt(observation, view), standsFrom);
  const claimAt = later(wantedAt, mayWriteAt);
  if (now >= claimAt) {
    return observation.kind === 'absent' ? { do: 'create' } : { do: 'takeOver', base: observation.snapshot };
  }
  // A claim that is due needs no read: the server refuses it if the lease has changed.
  const overdueAt = now >= wantedAt ? NEVER : (view.silentAt ?? NEVER);
  const wantedReadAt = view.hasGap === true ? LONG_AGO : (view.pollAt ?? overdueAt);
  const readAt = later(wantedReadAt, readableFrom);
  return now >= readAt ? { do: 'read' } : { do: 'wait', until: earlier(claimAt, readAt) };
}

function readableAt({ notBefore, noReadBefore = LONG_AGO }: ElectionView): MonotonicMs {
  return later(notBefore, noReadBefore);
}

/** When the lease may be claimed, unless it changes before. */
export function claimableAt(
  observation: Exclude<Observation, { kind: 'unseen' }>,
  { options, goneAt }: Pick<ElectionView, 'options' | 'goneAt'>,
): MonotonicMs {
  const freeAt = heldUntil(observation, goneAt);
  // It is unknown whether the lease had expired or was released before it was deleted.
  if (observation.kind === 'absent') return after(freeAt, options.lockDelay);
  const { holderIdentity } = observation.snapshot.record;
  if (holderIdentity === '') {
    const courtesy = isAskedFor(observation, options.identity) ? COURTESY_MS : 0;
    return later(freeAt, after(observation.seenAt, courtesy));
  }
  // Our create may have come late, after another process had created a Lease that was deleted again: respect its holder.
  if (observation.mine && observation.touch !== 'unanswered')
    return after(observation.owedBefore ?? LONG_AGO, options.lockDelay);
  if (options.reclaimOwnLease && holderIdentity === options.identity) return LONG_AGO;
  return after(freeAt, options.lockDelay);
}
