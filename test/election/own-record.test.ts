/** A record of this process: when others may have taken over from it, and how long it is remembered. */
import { describe, expect, it } from 'vitest';
import {
  LeaseRequestError,
  type LeaseSnapshot,
  type MonotonicMs,
  type WallMs,
} from '../../lib/election/index.js';
import {
  type Sighting,
  type Observation,
  observeShownWhileAbsent,
  observe,
} from '../../lib/election/observation.js';
import { World, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

const cutOff = (candidate: Candidate): void => {
  candidate.lock.fate = () => 'lose';
  candidate.lock.watchStalled = true;
};

describe('another holder that our deleted Lease may have had', () => {
  it.each<[string, number, { replyDelayMs?: number; lost?: 'reply' }, number]>([
    ['the reply to our last renewal came late', 1, { replyDelayMs: 3_200 }, 15_500],
    ['its clock runs as fast as allowed', 1.49, {}, 11_000],
    ['both', 1.49, { replyDelayMs: 2_000 }, 11_000],
    ['our last renewal was seen by a read, because its reply was lost', 1.49, { lost: 'reply' }, 11_000],
  ])('is respected: %s', async (_, rate, renewal, deletedAfterMs) => {
    const world = new World();
    const baz = world.start('baz', { drainTimeout: 0 });
    await world.time.advance(100);
    const bing = world.start('bing', {}, { rate });
    await world.time.advance(1_000);
    let sentAt = 0;
    let written = 0;
    baz.lock.watchStalled = true;
    baz.lock.fate = ({ verb }) => {
      if (verb !== 'update') return 'answer';
      written += 1;
      if (written === 1) sentAt = world.time.now;
      return written === 1 ? renewal : 'lose';
    };
    await world.time.advanceUntil(() => written === 1, 5_000);
    await world.time.advance(renewal.replyDelayMs ?? (renewal.lost === undefined ? 100 : 5_200));
    cutOff(baz);
    await world.time.advanceUntil(() => bing.leads, 20_000);
    cutOff(bing);
    await world.time.advance(Math.max(sentAt + deletedAfterMs - world.time.now, 10));
    world.lease.delete();
    baz.lock.fate = () => 'answer';
    for (let ms = 0; ms < 30_000; ms += 50) {
      await world.time.advance(50);
      expect(baz.leads && bing.leads, `at ${String(world.time.now)} ms`).toBe(false);
    }
    expect(baz.leads).toBe(true);
  });

  it('does not exist while nobody can have taken over: the Lease is re-created at once', async () => {
    const world = new World();
    const baz = world.start('baz');
    world.start('bing');
    await world.time.advance(12_000);
    world.lease.delete();
    await world.time.advance(10);
    expect(baz.story.filter((line) => line.startsWith('st'))).toEqual([
      'started 1',
      'stopped leaseGone',
      expect.stringMatching(/^started/),
    ]);
  });
});

describe('until when others must be respected after a record of ours, by when that was sent', () => {
  const at = (seconds: number): MonotonicMs => (seconds * 1000) as MonotonicMs;
  const on = (seconds: number): WallMs => (seconds * 1000) as WallMs;
  const NOBODY = Number.NEGATIVE_INFINITY;
  const lease = (record: LeaseSnapshot['record'], resourceVersion = '4', uid = 'uid'): LeaseSnapshot => ({
    record,
    resourceVersion,
    uid,
  });
  const sighting = (seconds: number, sentAt?: number): Sighting => ({
    seenAt: at(seconds),
    seenOn: on(seconds),
    ...(sentAt !== undefined && { sent: { sentAt: at(sentAt), sentOn: on(sentAt) } }),
    leaseDuration: 15_000,
    renewDeadline: 10_000,
  });
  const absent: Observation & { kind: 'absent' } = {
    kind: 'absent',
    version: '3',
    seenAt: at(0),
    heldUntil: NOBODY as MonotonicMs,
  };
  const ours = lease(recordOf('me'));
  /** Sent at 0, seen at 5. */
  const seen = observe({ kind: 'unseen' }, ours, sighting(5, 0));

  it('it counts from its sending', () => {
    expect(seen).toMatchObject({ heldUntil: at(15) });
  });

  it.each<[string, number, number]>([
    ['just before another may have taken over', 9.9, NOBODY],
    ['as soon as another may have taken over', 10, 25_000],
    ['later', 14, 29_000],
  ])('the Lease is gone, %s', (_, seconds, heldUntil) => {
    expect(observe(seen, undefined, sighting(seconds))).toMatchObject({ kind: 'absent', heldUntil });
  });

  it('the Lease is gone, and only the wall clock has advanced: the machine was suspended', () => {
    const resumed = { ...sighting(6), seenOn: on(16) };
    expect(observe(seen, undefined, resumed)).toMatchObject({ kind: 'absent', heldUntil: at(21) });
  });

  it.each<[string, number, number]>([
    ['just before another may have taken over', 9.9, NOBODY],
    ['when another may have taken over', 10, 25_000],
  ])('there is another Lease, without a holder, %s', (_, seconds, heldUntil) => {
    const other = lease(recordOf('', { leaseDurationSeconds: 1 }), '9', 'other');
    expect(observe(seen, other, sighting(seconds))).toMatchObject({ kind: 'present', heldUntil });
  });

  const LATER = '2001-02-03T04:05:09.000007Z' as NonNullable<ReturnType<typeof recordOf>['renewTime']>;
  it.each<[string, number, Partial<LeaseSnapshot['record']>, number]>([
    ['our own record, at any time', 14, {}, NOBODY],
    ['a record that was not seen, before another may have taken over', 9, { renewTime: LATER }, NOBODY],
    ['a record that was not seen, when another may have taken over', 12, { renewTime: LATER }, 27_000],
  ])('it was emptied by hand: %s', (_, seconds, changes, heldUntil) => {
    const emptied = lease(recordOf('', changes), '9');
    expect(observe(seen, emptied, sighting(seconds))).toMatchObject({ kind: 'present', heldUntil });
  });

  it.each<[string, number, number]>([
    ['nobody can have taken over from it', 9, NOBODY],
    ['another may have taken over', 10, 25_000],
  ])('an event shows it while it is absent: %s', (_, seconds, heldUntil) => {
    expect(observeShownWhileAbsent(absent, ours, sighting(seconds, 0))).toMatchObject({
      kind: 'absent',
      heldUntil,
    });
  });
});

describe('a record of ours that is stored', () => {
  const refused = new LeaseRequestError('LEADER_FORBIDDEN', 'planted', { maybeCommitted: false });
  const timing = { leaseDuration: 10_000, renewDeadline: 8_000, retryPeriod: 50, renewInterval: 1_000 };
  it.each([
    ['are refused', refused],
    ['hang', 'lose' as const],
  ])('is not forgotten, although many writes %s', async (_, fate) => {
    const world = new World();
    const baz = world.start('baz', timing);
    await world.time.advance(1_100);
    // The record is not seen meanwhile.
    baz.lock.fate = ({ verb }) => (verb === 'get' ? 'lose' : fate);
    await world.time.advance(6_000);
    world.lease.relabel();
    baz.lock.fate = () => 'answer';
    await world.time.advance(30_000);
    expect(baz.story.filter((line) => line.startsWith('st'))).toEqual(['started 1']);
  });
});
