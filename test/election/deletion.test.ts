/** A Lease that is deleted or emptied while a process leads: whom the others must respect, and for how long (rules 3 and 6). */
import { describe, expect, it } from 'vitest';
import type { LeaseSnapshot } from '../../lib/election/index.js';
import { World, fedByHand, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

const cutOff = (candidate: Candidate): void => {
  candidate.lock.fate = () => 'lose';
  candidate.lock.watchStalled = true;
};

/** baz leads, bing follows. */
async function twoReplicas(): Promise<{ world: World; baz: Candidate; bing: Candidate }> {
  const world = new World();
  const baz = world.start('baz');
  // So its renewals are due at known times.
  baz.clock.random = () => 0;
  await world.time.advance(100);
  const bing = world.start('bing');
  await world.time.advance(100);
  return { world, baz, bing };
}

/** Advances for longer than the term of baz lasts, and expects that the two never lead at the same time. */
async function neverBothLead(world: World, baz: Candidate, bing: Candidate): Promise<void> {
  for (let ms = 0; ms < 40_000; ms += 100) {
    await world.time.advance(100);
    expect(baz.leads && bing.leads, `at ${String(world.time.now)} ms`).toBe(false);
  }
}

describe('a Lease that is deleted', () => {
  it('is respected for a lease duration from its loss, because its last renewals may have been missed', async () => {
    const { world, baz, bing } = await twoReplicas();
    bing.lock.watchStalled = true;
    await world.time.advance(13_800);
    bing.lock.watchStalled = false;
    cutOff(baz);
    world.lease.delete();
    await neverBothLead(world, baz, bing);
    expect(bing.leads).toBe(true);
  });

  it('is respected also after a process that did not know it has led with a shorter lease, and crashed', async () => {
    const { world, baz, bing } = await twoReplicas();
    cutOff(baz);
    world.lease.delete();
    // A process that has just started respects nobody (docs/guarantees.md).
    const zoe = world.start('zoe', { leaseDuration: 3_000, renewDeadline: 2_000, retryPeriod: 500 });
    await world.time.advance(2_000);
    expect(zoe.leads).toBe(true);
    cutOff(zoe);
    await neverBothLead(world, baz, bing);
    expect(bing.leads).toBe(true);
  });

  it('is respected also by a process whose own create, sent before that Lease existed, succeeds when it has gone', async () => {
    const world = new World();
    const bing = world.prepare('bing');
    let creations = 0;
    bing.lock.fate = ({ verb }) =>
      verb === 'create' && creations++ === 0 ? { delayMs: 3_000, lost: 'reply' } : 'answer';
    bing.start();
    await world.time.advance(100);
    const baz = world.start('baz');
    await world.time.advance(1_900);
    expect([baz.leads, bing.leads]).toEqual([true, false]);
    cutOff(baz);
    world.lease.delete();
    await world.time.advance(2_000);
    expect(world.lease.stored?.record.holderIdentity).toBe('bing');
    expect(bing.leads).toBe(false);
    await neverBothLead(world, baz, bing);
    expect(bing.leads).toBe(true);
  });

  it('… and such a Lease is not released, either: others would claim it at once', async () => {
    const world = new World();
    const bing = world.prepare('bing');
    let creations = 0;
    bing.lock.fate = ({ verb }) =>
      verb === 'create' && creations++ === 0 ? { delayMs: 3_000, lost: 'reply' } : 'answer';
    bing.start();
    await world.time.advance(100);
    const baz = world.start('baz');
    const boo = world.start('boo');
    await world.time.advance(1_900);
    cutOff(baz);
    world.lease.delete();
    await world.time.advance(2_000);
    bing.stop();
    await neverBothLead(world, baz, boo);
    expect(bing.ended).toBe(true);
    expect(boo.leads).toBe(true);
  });

  it('is respected by a process whose own record in it had expired long before', async () => {
    const { world, baz, bing } = await twoReplicas();
    cutOff(baz);
    await world.time.advanceUntil(() => bing.leads, 30_000);
    await world.time.advance(5_000);
    cutOff(bing);
    world.lease.delete();
    baz.lock.fate = () => 'answer';
    await neverBothLead(world, bing, baz);
  });

  it('is respected also when an empty Lease takes its place', async () => {
    const { world, baz, bing } = await twoReplicas();
    cutOff(baz);
    world.lease.delete();
    world.lease.edit(recordOf('', { acquireTime: undefined, renewTime: undefined }));
    await neverBothLead(world, baz, bing);
    expect(bing.leads).toBe(true);
  });

  it('is respected by a new process whose first event is the deletion', async () => {
    const world = new World();
    world.lease.edit(recordOf('baz'));
    world.lease.delete();
    const bing = world.prepare('bing');
    const tell = fedByHand(bing);
    bing.lock.fate = ({ verb }) => (verb === 'get' ? 'lose' : 'answer');
    bing.start();
    tell({ kind: 'deleted', resourceVersion: '2' });
    await world.time.advance(14_900);
    expect(world.lease.stored).toBeUndefined();
    await world.time.advanceUntil(() => bing.leads, 3_000);
  });

  it('is noticed when the watch is reopened, if it had ended before', async () => {
    const { world, baz, bing } = await twoReplicas();
    await world.time.advance(5_000);
    cutOff(baz);
    bing.lock.endWatch();
    world.lease.delete();
    await world.time.advanceUntil(() => bing.leads, 15_000 + 100);
  });

  it('is not restored by an old event, whose write began a term', async () => {
    const world = new World();
    world.lease.edit(recordOf('dead', { leaseDurationSeconds: 1 }));
    const baz = world.prepare('baz');
    const tell = fedByHand(baz);
    baz.lock.fate = ({ verb }) => (verb === 'update' ? 'loseReply' : 'answer');
    baz.start();
    await world.time.advanceUntil(() => world.lease.stored?.record.holderIdentity === 'baz', 5_000);
    const late = world.lease.stored as LeaseSnapshot;
    world.lease.delete();
    baz.lock.fate = ({ verb }) => (verb === 'create' ? 'lose' : 'answer');
    await world.time.advanceUntil(() => baz.state.kind === 'following' && baz.state.leader === '', 5_000);
    const bing = world.start('bing');
    await world.time.advanceUntil(() => bing.leads, 1_000);
    tell({ kind: 'seen', snapshot: late });
    expect(baz.leads).toBe(false);
    await neverBothLead(world, bing, baz);
  });

  it('is not restored by an event that the deletion has overtaken', async () => {
    const world = new World();
    world.lease.edit(recordOf('dead'));
    const baz = world.prepare('baz');
    const tell = fedByHand(baz);
    baz.start();
    await world.time.advance(1_000);
    world.lease.edit(recordOf('dead', { leaseTransitions: 7 }));
    const late = world.lease.stored as LeaseSnapshot;
    world.lease.delete();
    tell({ kind: 'deleted', resourceVersion: '3' });
    const asked = world.lease.requests.length;
    tell({ kind: 'seen', snapshot: late });
    await world.time.advance(100);
    expect(baz.state).toMatchObject({ leader: '' });
    expect(world.lease.requests).toHaveLength(asked);
  });
});

describe('a Lease that is emptied by hand', () => {
  it('belongs to its holder until it would have expired, because the holder may not have noticed', async () => {
    const { world, baz, bing } = await twoReplicas();
    cutOff(baz);
    const { record } = world.lease.stored as LeaseSnapshot;
    world.lease.edit({ ...record, holderIdentity: '' });
    await neverBothLead(world, baz, bing);
    expect(bing.leads).toBe(true);
  });

  it('belongs to its holder also for a process that has missed a renewal', async () => {
    const { world, baz, bing } = await twoReplicas();
    bing.lock.watchStalled = true;
    await world.time.advance(4_000);
    bing.lock.watchStalled = false;
    cutOff(baz);
    const { record } = world.lease.stored as LeaseSnapshot;
    world.lease.edit({ ...record, holderIdentity: '' });
    await neverBothLead(world, baz, bing);
    expect(bing.leads).toBe(true);
  });

  it('is acquired again at once by its holder', async () => {
    const { world, baz } = await twoReplicas();
    const { record } = world.lease.stored as LeaseSnapshot;
    world.lease.edit({ ...record, holderIdentity: '' });
    await world.time.advance(10);
    expect(baz.story.filter((line) => line.startsWith('st'))).toEqual([
      'started 1',
      'stopped released',
      'started 3',
    ]);
  });
});

describe('processes with one name', () => {
  it('never lead together, even if they write at the same instant', async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const world = new World();
      for (let skipped = 0; skipped < seed; skipped++) world.time.chance.next();
      const ahead = '2027-01-01T00:00:00.000000Z' as NonNullable<ReturnType<typeof recordOf>['renewTime']>;
      world.lease.edit(recordOf('', { renewTime: ahead }));
      const all = Array.from({ length: 6 }, () => world.start('baz'));
      await world.time.advance(30);
      expect(all.filter(({ leads }) => leads).length, `seed ${String(seed)}`).toBe(1);
    }
  });
});

describe('a create that arrives late, when another process has held the lease and somebody has deleted it', () => {
  it.each(['seen in an event', 'seen by a read'])(
    'begins no term while that holder must be respected: %s',
    async (how) => {
      const world = new World();
      const baz = world.prepare('baz');
      const tell = fedByHand(baz);
      baz.lock.fate = ({ verb }) => (verb === 'create' ? { delayMs: 3_000 } : 'answer');
      baz.start();
      await world.time.advance(100);
      const bing = world.start('bing');
      await world.time.advance(2_000);
      expect(bing.leads).toBe(true);
      baz.lock.fate = () => 'lose';
      tell({ kind: 'seen', snapshot: world.lease.stored as LeaseSnapshot });
      cutOff(bing);
      world.lease.delete();
      await world.time.advanceUntil(() => world.lease.stored?.record.holderIdentity === 'baz', 3_000);
      baz.lock.fate = () => 'answer';
      if (how === 'seen in an event') tell({ kind: 'seen', snapshot: world.lease.stored as LeaseSnapshot });
      await neverBothLead(world, bing, baz);
      expect(baz.leads).toBe(true);
    },
  );
});
