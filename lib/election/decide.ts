/**
 * The whole of the decision what to do next (ARCHITECTURE.md, rules 3, 6, 7 and 9). Pure: the same view gives the same
 * decision, so a table can test it. It never looks at a remote timestamp. What is seen can end a term; only a conditional
 * write of ours begins or extends one.
 */
import { LONG_AGO, NEVER, after, earlier, later, type MonotonicMs } from './clock.js';
import type { LeaseSnapshot } from './lease.js';
import type { Observation } from './observation.js';
import type { ResolvedElectionOptions } from './options.js';
import type { TermEndReason } from './term.js';

/** All that a decision depends on. */
export interface ElectionView {
  readonly now: MonotonicMs;
  readonly observation: Observation;
  /** Something said that the observation is stale: a conflict, a write of unknown outcome. */
  readonly doubtful: boolean;
  /** Another's Lease may have been deleted while no watch was open. Default: it was not. */
  readonly hasGap?: boolean;
  /** No request before this instant: the server asked us to wait. */
  readonly notBefore: MonotonicMs;
  /** No read before this instant: the last one has its time to answer, or failed. Default: at once. */
  readonly noReadBefore?: MonotonicMs;
  /** No write before this instant: the last one has its time to answer, or failed, and the lease has not moved since. */
  readonly noWriteBefore: MonotonicMs;
  /** The term, if there is one, handing over included. */
  readonly term: TermView | undefined;
  /** No campaign before this instant: a cool-down, or work of the last term that still runs. */
  readonly campaignAt: MonotonicMs;
  /** When to read if nothing is seen; undefined while a watch is open. */
  readonly pollAt: MonotonicMs | undefined;
  /** When to read although a watch is open, because it has shown nothing for so long. Default: never. */
  readonly silentAt?: MonotonicMs;
  /** Whether this process wants to lead at the moment. */
  readonly stands: boolean;
  readonly options: Pick<ResolvedElectionOptions, 'identity' | 'lockDelay' | 'reclaimOwnLease' | 'spread'>;
}

/** What a decision needs to know of the own term. */
export interface TermView {
  readonly renewAt: MonotonicMs;
  /** When `termLimit` is reached; never, without one. */
  readonly limitAt: MonotonicMs;
  /** It is being handed over already. */
  readonly closing: boolean;
}

/** See {@link decide}. */
export type Decision =
  | { readonly do: 'wait'; readonly until: MonotonicMs }
  | { readonly do: 'read' }
  | { readonly do: 'create' }
  | { readonly do: 'takeOver'; readonly base: LeaseSnapshot }
  | { readonly do: 'renew'; readonly base: LeaseSnapshot }
  /** The term is over: give up what depends on it at once. */
  | { readonly do: 'lose'; readonly reason: TermEndReason }
  | { readonly do: 'handOver'; readonly reason: TermEndReason };

/** How long a released lease is left to the one that asked for it, in milliseconds. */
const COURTESY_MS = 250;

/** What to do next, as far as `view` tells. */
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
  // What another has made of our record is written over at once: until then nothing shows that we hold the lease.
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
  const askedFor = options.spread && isAskedFor(observation, options.identity);
  return askedFor || !stands ? 'steppedDown' : undefined;
}

/** Whether somebody else asked for the lease. */
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
  const wantedAt = later(claimableAt(observation, view.options), standsFrom);
  const claimAt = later(wantedAt, mayWriteAt);
  if (now >= claimAt) {
    return observation.kind === 'absent' ? { do: 'create' } : { do: 'takeOver', base: observation.snapshot };
  }
  // A claim that is due finds that out by itself.
  const overdueAt = now >= wantedAt ? NEVER : (view.silentAt ?? NEVER);
  const wantedReadAt = view.hasGap === true ? LONG_AGO : (view.pollAt ?? overdueAt);
  const readAt = later(wantedReadAt, readableFrom);
  return now >= readAt ? { do: 'read' } : { do: 'wait', until: earlier(claimAt, readAt) };
}

function readableAt({ notBefore, noReadBefore = LONG_AGO }: ElectionView): MonotonicMs {
  return later(notBefore, noReadBefore);
}

/** From when on the lease may be had. */
function claimableAt(
  observation: Exclude<Observation, { kind: 'unseen' }>,
  options: ElectionView['options'],
): MonotonicMs {
  const { heldUntil } = observation;
  // Whether it had run out or was released before it was deleted is not known.
  if (observation.kind === 'absent') return after(heldUntil, options.lockDelay);
  const { holderIdentity } = observation.snapshot.record;
  if (holderIdentity === '') {
    const courtesy = isAskedFor(observation, options.identity) ? COURTESY_MS : 0;
    return later(heldUntil, after(observation.seenAt, courtesy));
  }
  // It may be a Lease that we made too late, when another had been made and gone meanwhile: its holder comes first.
  if (observation.mine && observation.touch !== 'unanswered')
    return after(observation.owedBefore ?? LONG_AGO, options.lockDelay);
  if (options.reclaimOwnLease && holderIdentity === options.identity) return LONG_AGO;
  return after(heldUntil, options.lockDelay);
}
