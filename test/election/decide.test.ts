/** `decide`, row by row. Times are seconds; this process is `baz`. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decide,
  type Decision,
  type ElectionView,
  type LeaseSnapshot,
  type MonotonicMs,
  type Observation,
} from '../../lib/election/internal.js';
import { recordOf } from './records.js';

const at = (seconds: number): MonotonicMs => (seconds * 1000) as MonotonicMs;
const snapshot = (holder: string): LeaseSnapshot => ({
  record: recordOf(holder),
  resourceVersion: '5',
  uid: 'u',
});
const seen = (holder: string, heldUntil: number, mine = false): Observation & { kind: 'present' } => ({
  kind: 'present',
  snapshot: snapshot(holder),
  mine,
  seenAt: at(0),
  heldUntil: at(heldUntil),
});
const absent = (heldUntil: number): Observation => ({
  kind: 'absent',
  version: '0',
  seenAt: at(0),
  heldUntil: at(heldUntil),
});

const NEVER = Number.NEGATIVE_INFINITY as MonotonicMs;
const FOREVER = Number.POSITIVE_INFINITY as MonotonicMs;
const follower: ElectionView = {
  now: at(10),
  observation: { kind: 'unseen' },
  doubtful: false,
  notBefore: NEVER,
  noWriteBefore: NEVER,
  campaignAt: NEVER,
  pollAt: undefined,
  term: undefined,
  stands: true,
  options: { identity: 'baz', lockDelay: 0, reclaimOwnLease: false },
};
const leader: ElectionView = {
  ...follower,
  observation: seen('baz', 15, true),
  term: { renewAt: at(12), limitAt: FOREVER, closing: false },
};

const term = { renewAt: at(12), limitAt: FOREVER, closing: false };
const askedFor = (wantedBy: string, observation: Observation): Observation =>
  observation.kind === 'present'
    ? {
        ...observation,
        snapshot: { ...observation.snapshot, record: { ...observation.snapshot.record, wantedBy } },
      }
    : observation;

const show = (decision: Decision): string => {
  switch (decision.do) {
    case 'wait':
      return `wait until ${String(decision.until / 1000)}`;
    case 'lose':
    case 'handOver':
      return `${decision.do} ${decision.reason}`;
    case 'read':
    case 'create':
    case 'takeOver':
    case 'renew':
      return decision.do;
  }
};

describe('a follower', () => {
  it.each<[string, Partial<ElectionView>, string]>([
    ['knows nothing', {}, 'read'],
    ['knows nothing, and must wait', { notBefore: at(12) }, 'wait until 12'],
    ['is in doubt', { observation: seen('bing', 5), doubtful: true }, 'read'],
    ['sees no lease', { observation: absent(0) }, 'create'],
    ['sees no lease, but saw one that has not expired', { observation: absent(15) }, 'wait until 15'],
    ['sees an empty lease', { observation: seen('', -Infinity) }, 'takeOver'],
    ['sees an empty lease in place of one that was held', { observation: seen('', 99) }, 'wait until 99'],
    [
      'sees an empty lease, and must wait',
      { observation: seen('', -Infinity), notBefore: at(10.003) },
      'wait until 10.003',
    ],
    ["sees another's lease", { observation: seen('bing', 15) }, 'wait until 15'],
    ["sees another's lease that has expired", { observation: seen('bing', 10) }, 'takeOver'],
    [
      "sees another's lease that has expired, with a lockDelay",
      { observation: seen('bing', 10), options: { ...follower.options, lockDelay: 3000 } },
      'wait until 13',
    ],
    [
      'sees an empty lease, with a lockDelay',
      { observation: seen('', 10), options: { ...follower.options, lockDelay: 3000 } },
      'takeOver',
    ],
    ['sees its own record', { observation: seen('baz', 99, true) }, 'takeOver'],
    ["sees its own name in another's record", { observation: seen('baz', 15) }, 'wait until 15'],
    [
      'sees its own name, with reclaimOwnLease',
      { observation: seen('baz', 15), options: { ...follower.options, reclaimOwnLease: true } },
      'takeOver',
    ],
    ['does not want to lead', { observation: seen('', 0), stands: false }, 'wait until Infinity'],
    [
      'does not want to lead, and has no watch',
      { observation: seen('', 0), stands: false, pollAt: at(12) },
      'wait until 12',
    ],
    ['does not want to lead, and knows nothing', { stands: false }, 'read'],
    [
      'sees an empty lease that another asked for',
      { observation: askedFor('bing', seen('', 0)), now: at(0.1) },
      'wait until 0.25',
    ],
    [
      'sees an empty lease that another asked for long ago',
      { observation: askedFor('bing', seen('', 0)) },
      'takeOver',
    ],
    [
      'sees an empty lease that it asked for',
      { observation: askedFor('baz', seen('', 0)), now: at(0) },
      'takeOver',
    ],
    [
      'sees an expired lease that another asked for',
      { observation: askedFor('bing', seen('bong', 10)) },
      'takeOver',
    ],
    ['must not campaign yet', { observation: seen('', 0), campaignAt: at(30) }, 'wait until 30'],
    [
      'must not campaign yet, and has no watch',
      { observation: seen('', 0), campaignAt: at(30), pollAt: at(12) },
      'wait until 12',
    ],
    ['has no watch, and a poll is due', { observation: seen('bing', 15), pollAt: at(9) }, 'read'],
    ['has a watch that was silent for too long', { observation: seen('bing', 15), silentAt: at(9) }, 'read'],
    [
      'has a watch that was silent for too long, and has just read',
      { observation: seen('bing', 15), silentAt: at(9), noReadBefore: at(12) },
      'wait until 12',
    ],
    [
      'has a watch that has been silent for a while',
      { observation: seen('bing', 15), silentAt: at(11) },
      'wait until 11',
    ],
    [
      'has a silent watch, and a lease that expires before a read is due',
      { observation: seen('bing', 12), silentAt: at(14) },
      'wait until 12',
    ],
    [
      'has a silent watch, and a claim of an expired lease in flight',
      { observation: seen('bing', 9), silentAt: at(9), noWriteBefore: at(12) },
      'wait until 12',
    ],
    [
      'has a silent watch, and does not want to lead',
      { observation: seen('bing', 9), silentAt: at(9), stands: false },
      'read',
    ],
    [
      'has just read, and sees an expired lease',
      { observation: seen('bing', 9), noReadBefore: at(12) },
      'takeOver',
    ],
    ['has no watch, and sees an expired lease', { observation: seen('bing', 9), pollAt: at(9) }, 'takeOver'],
    [
      'sees its own record, written while an earlier holder is owed its lease',
      { observation: { ...seen('baz', 99, true), owedBefore: at(20) } },
      'wait until 20',
    ],
    [
      'sees its own record, written while an earlier holder is owed its lease, with a lockDelay',
      {
        observation: { ...seen('baz', 99, true), owedBefore: at(20) },
        options: { ...follower.options, lockDelay: 3000 },
      },
      'wait until 23',
    ],
    [
      'sees its own record, which somebody has touched',
      { observation: { ...seen('baz', 15, true), touch: 'unanswered' } },
      'wait until 15',
    ],
    [
      "sees another's lease, with reclaimOwnLease",
      { observation: seen('bing', 15), options: { ...follower.options, reclaimOwnLease: true } },
      'wait until 15',
    ],
  ])('%s', (_, view, decision) => {
    expect(show(decide({ ...follower, ...view }))).toBe(decision);
  });
});

describe('a leader', () => {
  it.each<[string, Partial<ElectionView>, string]>([
    ['need not renew yet', {}, 'wait until 12'],
    ['must renew', { now: at(12) }, 'renew'],
    ['must renew, and has a renewal in flight', { now: at(12), notBefore: at(14) }, 'wait until 14'],
    ['is in doubt', { doubtful: true }, 'read'],
    ['is in doubt, and has a read in flight', { doubtful: true, noReadBefore: at(11) }, 'wait until 11'],
    ['has a watch that was silent for too long', { silentAt: at(9) }, 'wait until 12'],
    ['sees another holder', { observation: seen('bing', 99) }, 'lose superseded'],
    ["sees its name in another's record", { observation: seen('baz', 99) }, 'lose superseded'],
    ['sees no holder', { observation: seen('', 99) }, 'lose released'],
    ['sees no lease', { observation: absent(99) }, 'lose leaseGone'],
    [
      'sees another holder while in doubt',
      { observation: seen('bing', 99), doubtful: true },
      'lose superseded',
    ],
    ['reaches its limit', { term: { ...term, limitAt: at(10) } }, 'handOver termLimit'],
    ['has a limit before the next renewal', { term: { ...term, limitAt: at(11) } }, 'wait until 11'],
    [
      'has reached its limit, and hands over',
      { term: { ...term, limitAt: at(10), closing: true } },
      'wait until 12',
    ],
    ['no longer wants to lead', { stands: false }, 'handOver steppedDown'],
    [
      'no longer wants to lead, and hands over already',
      { stands: false, term: { ...term, closing: true } },
      'wait until 12',
    ],
    [
      'no longer wants to lead, and has lost the lease',
      { stands: false, observation: seen('bing', 99) },
      'lose superseded',
    ],
    [
      'is asked for the lease',
      { observation: askedFor('bing', seen('baz', 15, true)) },
      'handOver steppedDown',
    ],
    [
      'is asked for the lease, and hands over already',
      { observation: askedFor('bing', seen('baz', 15, true)), term: { ...term, closing: true } },
      'wait until 12',
    ],
    [
      'is asked for the lease, and must renew while it hands over',
      { observation: askedFor('bing', seen('baz', 15, true)), now: at(12), term: { ...term, closing: true } },
      'renew',
    ],
    [
      'has asked for the lease itself',
      { observation: askedFor('baz', seen('baz', 15, true)) },
      'wait until 12',
    ],
    ['has seen no lease yet', { observation: { kind: 'unseen' } }, 'read'],
    [
      'is in doubt, and must not read yet, and reaches its limit before',
      { doubtful: true, noReadBefore: at(12), term: { ...term, limitAt: at(11) } },
      'wait until 11',
    ],
  ])('%s', (_, view, decision) => {
    expect(show(decide({ ...leader, ...view }))).toBe(decision);
  });
});

it("never claims another's lease before it has expired, whatever the view", () => {
  const instant = fc.integer({ min: 0, max: 60 }).map(at);
  fc.assert(
    fc.property(
      fc.record({ now: instant, heldUntil: instant, notBefore: instant, campaignAt: instant }),
      fc.option(instant, { nil: undefined }),
      fc.boolean(),
      ({ now, heldUntil, notBefore, campaignAt }, pollAt, doubtful) => {
        const observation: Observation = {
          kind: 'present',
          snapshot: snapshot('bing'),
          mine: false,
          seenAt: at(0),
          heldUntil,
        };
        const decision = decide({ ...follower, now, notBefore, campaignAt, pollAt, doubtful, observation });
        if (decision.do === 'takeOver') expect(now).toBeGreaterThanOrEqual(heldUntil);
        // Nor does it get stuck: a wait ends in the future.
        if (decision.do === 'wait') expect(decision.until).toBeGreaterThan(now);
        expect(['takeOver', 'wait', 'read']).toContain(decision.do);
      },
    ),
  );
});
