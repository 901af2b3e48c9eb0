/** One step of the election, when several things are due at its instant. */
import { describe, expect, it } from 'vitest';
import type { LeaseSnapshot, WatchEvent } from '../../lib/election/index.js';
import { World } from './candidate.js';
import { recordOf } from './records.js';

describe('a hand-over that begins when a renewal is due', () => {
  it('sends the release, and no renewal beside it', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    // The process was busy: its renewal is due, and no timer has fired.
    world.time.jump(4_000);
    world.lease.requests.length = 0;
    void baz.elector.stepDown();
    await world.time.advance(10);
    expect(world.lease.requests.map(({ verb }) => verb)).toEqual(['update']);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
  });

  it('renews while work of the term runs, and sends one release when that has ended', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const leave = baz.term.enter();
    world.time.jump(4_000);
    world.lease.requests.length = 0;
    void baz.elector.stepDown();
    await world.time.advance(100);
    expect(world.lease.stored?.record.holderIdentity).toBe('baz');
    leave();
    await world.time.advance(100);
    expect(world.lease.requests.map(({ verb }) => verb)).toEqual(['update', 'update']);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
  });
});

describe('an event that comes when the watch is due to be opened again', () => {
  it('counts: the holder that it shows is respected, although the Lease is gone by the time of the read', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    let show: (event: WatchEvent) => void = () => undefined;
    baz.lock.watch = (onEvent) => {
      show = onEvent;
      onEvent({ kind: 'opened' });
      return new Promise(() => undefined);
    };
    baz.start();
    await world.time.advance(1_000);
    const held = world.lease.stored as LeaseSnapshot;
    // The watch should have shown the write within a retryPeriod from 2 ms on, but the process is busy for longer.
    world.time.jump(2_500);
    world.lease.edit(recordOf('stranger', { leaseDurationSeconds: 15 }));
    const taken = world.lease.stored as LeaseSnapshot;
    world.lease.delete();
    show({ kind: 'seen', snapshot: taken });
    await world.time.advance(1_000);
    expect([held.record.holderIdentity, baz.leads]).toEqual(['baz', false]);
    expect(world.lease.stored).toBeUndefined();
    await world.time.advanceUntil(() => baz.leads, 30_000);
  });
});

describe('a name that somebody enters into a held Lease without a claim', () => {
  it('does not end the claim of the holder, whose lease lasts longer than ours', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing', { leaseDurationSeconds: 60 }));
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const { record } = world.lease.stored as LeaseSnapshot;
    world.lease.edit({ ...record, holderIdentity: 'chosen', acquireTime: undefined, renewTime: undefined });
    await world.time.advance(40_000);
    expect(baz.leads).toBe(false);
    await world.time.advanceUntil(() => baz.leads, 60_000);
  });
});
