/** Until when one that was elected respects those who held the lease before, by what was seen last. */
import { expect, it } from 'vitest';
import type {
  LeaseRecord,
  LeaseSnapshot,
  MicroTime,
  MonotonicMs,
  WallMs,
  Observation,
} from '../../lib/election/index.js';
import { owedAtElection } from '../../lib/election/owed.js';
import { recordOf } from './records.js';

const LAST = '2001-02-03T04:05:09.000007Z' as MicroTime;
const NOBODY = Number.NEGATIVE_INFINITY;
const SEEN = 100_000;
const HELD = 105_000;

const lease = (record: LeaseRecord, uid = 'uid'): LeaseSnapshot => ({ record, uid, resourceVersion: '7' });
/** Given to us after a holder whose last note was `LAST`. */
const elected = (changes: Partial<LeaseRecord> = {}, uid?: string): LeaseSnapshot =>
  lease(
    recordOf('me', {
      acquireTime: undefined,
      leaseDurationSeconds: 5,
      leaseTransitions: 3,
      heldAt: LAST,
      ...changes,
    }),
    uid,
  );
const NEVER_CLAIMED = { acquireTime: undefined, leaseTransitions: undefined };
const fresh = lease(recordOf('me', { ...NEVER_CLAIMED, leaseDurationSeconds: 5 }));
const madeByPlain = lease(recordOf('me', { acquireTime: undefined, leaseDurationSeconds: 5 }));
/** The holder's last record, as it was seen. */
const seen = (changes: Partial<LeaseRecord> = {}): Observation => ({
  kind: 'present',
  snapshot: lease(recordOf('holder', { renewTime: LAST, heldAt: LAST, leaseTransitions: 3, ...changes })),
  mine: false,
  seenAt: 90_000 as MonotonicMs,
  heldUntil: HELD as MonotonicMs,
});
const unseen: Observation = { kind: 'unseen' };
const absent: Observation = {
  kind: 'absent',
  version: '0',
  seenAt: 0 as MonotonicMs,
  heldUntil: HELD as MonotonicMs,
};
/** As holders write that know nothing of transitions, nor of notes. */
const heldByOneWhoCountsNothing: Observation = {
  kind: 'present',
  snapshot: lease(recordOf('holder', { renewTime: LAST, leaseTransitions: undefined })),
  mine: false,
  seenAt: 90_000 as MonotonicMs,
  heldUntil: HELD as MonotonicMs,
};
const unclaimed: Observation = {
  kind: 'present',
  snapshot: lease(recordOf('another', NEVER_CLAIMED)),
  mine: false,
  seenAt: 90_000 as MonotonicMs,
  heldUntil: HELD as MonotonicMs,
};

it.each<[string, Observation, LeaseSnapshot, number]>([
  ['nothing was seen, and nobody has held it', unseen, fresh, NOBODY],
  ['it was held by one who counts no transitions', heldByOneWhoCountsNothing, fresh, SEEN + 15_000],
  ['nothing was seen, and somebody has held it', unseen, elected(), SEEN + 15_000],
  ['nothing was seen, and one without notes has made it', unseen, madeByPlain, SEEN + 15_000],
  ['there was none, and nobody has held it', absent, fresh, HELD],
  ['there was none, and somebody has held it', absent, elected(), SEEN + 15_000],
  ['the last record was seen', seen(), elected(), HELD],
  ['there were renewals since', seen({ renewTime: undefined }), elected(), SEEN + 15_000],
  [
    'there were, by one whose lease is longer than ours',
    seen({ renewTime: undefined, leaseDurationSeconds: 60 }),
    elected(),
    SEEN + 60_000,
  ],
  ['it has changed hands since', seen(), elected({ leaseTransitions: 4 }), SEEN + 15_000],
  ['it is another Lease, with a copy of the note', seen(), elected({}, 'other'), SEEN + 15_000],
  ['another was given it, and nobody has held it', unclaimed, fresh, HELD],
  [
    'another was given it, which somebody may have held',
    seen({ acquireTime: undefined }),
    elected(),
    SEEN + 15_000,
  ],
  [
    'another was given another, and nobody has held this',
    unclaimed,
    { ...fresh, uid: 'other' },
    SEEN + 15_000,
  ],
])('%s', (_, previous, given, until) => {
  const hearing = {
    seenAt: SEEN as MonotonicMs,
    leaseDuration: 15_000,
    renewDeadline: 10_000,
    seenOn: 0 as WallMs,
    candidate: 'me',
  };
  expect(owedAtElection(previous, given, hearing)).toBe(until);
});
