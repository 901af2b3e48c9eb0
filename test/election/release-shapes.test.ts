/** A Lease without a holder: a release by some client, or an edit by hand while the holder is alive (rule 3). */
import { describe, expect, it } from 'vitest';
import type {
  LeaseRecord,
  LeaseSnapshot,
  MicroTime,
  MonotonicMs,
  WallMs,
  Observation,
} from '../../lib/election/internal.js';
import { type Sighting, observe } from '../../lib/election/observation.js';
import { World } from './candidate.js';
import { recordOf } from './records.js';

const time = (second: number): MicroTime =>
  `2001-02-03T04:05:${String(second).padStart(2, '0')}.000007Z` as MicroTime;
const at = (seconds: number): MonotonicMs => (seconds * 1000) as MonotonicMs;
const sighting = (seconds: number): Sighting => ({
  seenAt: at(seconds),
  leaseDuration: 15_000,
  renewDeadline: 10_000,
  seenOn: 0 as WallMs,
});
let version = 0;
const lease = (record: LeaseRecord): LeaseSnapshot => ({
  record,
  resourceVersion: String((version += 1)),
  uid: 'uid',
});
/** Acquired at 1, renewed at 3; seen at 0 by our clock, so it must be respected until 15. */
const HELD = recordOf('bing', { acquireTime: time(1), renewTime: time(3), leaseTransitions: 4 });
const seenHeld = (record = HELD): Observation => observe({ kind: 'unseen' }, lease(record), sighting(0));
/** Until when the old holder must be respected if `record` is seen at 2. */
const owed = (record: LeaseRecord, before = HELD): number => {
  const found = observe(seenHeld(before), lease(record), sighting(2));
  return found.kind === 'present' ? found.heldUntil : Number.NaN;
};

const NOBODY = Number.NEGATIVE_INFINITY;
const NOW = time(9);
const NONE = { acquireTime: undefined, renewTime: undefined };
const EMPTY = { ...HELD, holderIdentity: '' };

describe('a release', () => {
  // An absent holder is the same as an empty one.
  it.each<[string, LeaseRecord]>([
    ['as client-go and we write it', { ...EMPTY, leaseDurationSeconds: 1, acquireTime: NOW, renewTime: NOW }],
    ['as the official Java client writes it: no holder, no times', { ...EMPTY, ...NONE }],
    ['as kubert writes it: nothing but transitions', { ...EMPTY, ...NONE, leaseDurationSeconds: undefined }],
    [
      'as @codedependant/kubernetes-leader-election writes it, and kubectl patch: no holder, no renewTime',
      { ...EMPTY, renewTime: undefined },
    ],
    [
      'the same, for a Lease created without duration and transitions',
      { ...EMPTY, renewTime: undefined, leaseDurationSeconds: undefined, leaseTransitions: undefined },
    ],
    ['with equal new times, and the duration kept', { ...EMPTY, acquireTime: NOW, renewTime: NOW }],
    [
      'with equal new times, and without transitions',
      { ...EMPTY, acquireTime: NOW, renewTime: NOW, leaseDurationSeconds: 1, leaseTransitions: undefined },
    ],
    [
      'with equal new times, and without duration',
      { ...EMPTY, acquireTime: NOW, renewTime: NOW, leaseDurationSeconds: undefined },
    ],
    ['with no times, and a duration of a second', { ...EMPTY, ...NONE, leaseDurationSeconds: 1 }],
  ])('%s, leaves the lease to others at once', (_, record) => {
    expect(owed(record)).toBe(NOBODY);
  });

  it('as fabric8 writes it, which cannot remove the holder, is a lease of one second', () => {
    expect(owed({ ...HELD, leaseDurationSeconds: 1, acquireTime: NOW, renewTime: NOW })).toBe(at(3));
  });

  it('is recognised even if its client never counts transitions', () => {
    const before = { ...HELD, leaseTransitions: undefined };
    expect(
      owed(
        { ...before, holderIdentity: '', leaseDurationSeconds: 1, acquireTime: NOW, renewTime: NOW },
        before,
      ),
    ).toBe(NOBODY);
  });
});

describe('an edit by hand that removes the holder', () => {
  it.each<[string, LeaseRecord, number]>([
    ['and nothing else: it is respected until its last record would have expired', EMPTY, 15],
    ['and shortens the duration', { ...EMPTY, leaseDurationSeconds: 1 }, 15],
    ['and the duration with it', { ...EMPTY, leaseDurationSeconds: undefined }, 15],
    ['and acquireTime with it', { ...EMPTY, acquireTime: undefined }, 15],
    ['and transitions with it', { ...EMPTY, leaseTransitions: undefined }, 15],
    [
      'from a record that was not seen: it is respected for a whole lease duration',
      { ...EMPTY, renewTime: time(6) },
      17,
    ],
    [
      'from the unseen first record of a holder, whose times are equal',
      { ...EMPTY, acquireTime: NOW, renewTime: NOW, leaseTransitions: 5 },
      17,
    ],
    [
      'from the same, by a client that does not count transitions',
      { ...EMPTY, acquireTime: NOW, renewTime: NOW, leaseTransitions: undefined },
      17,
    ],
    ['from the first record of a holder that was seen', { ...EMPTY, renewTime: time(1) }, 17],
  ])('%s', (_, record, seconds) => {
    expect(owed(record)).toBe(at(seconds));
  });

  it('from the first record of a holder, which was seen and has equal times', () => {
    const first = { ...HELD, renewTime: time(1) };
    expect(owed({ ...first, holderIdentity: '' }, first)).toBe(at(15));
  });
});

it('after a release by kubectl patch, of holder and renewTime, a follower with a watch claims the lease at once', async () => {
  const world = new World();
  world.lease.edit(recordOf('gone', { acquireTime: time(1), renewTime: time(3) }));
  const baz = world.start('baz');
  await world.time.advance(3_000);
  const { record } = world.lease.stored as LeaseSnapshot;
  world.lease.edit({ ...record, holderIdentity: '', renewTime: undefined });
  await world.time.advance(10);
  expect(baz.leads).toBe(true);
});
