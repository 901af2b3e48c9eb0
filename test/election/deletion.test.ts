/** A Lease that is deleted while it is led: whom the others must respect, and for how long (rules 3 and 6). */
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
  // Its renewals are due at known times.
  baz.clock.random = () => 0;
  await world.time.advance(100);
  const bing = world.start('bing');
  await world.time.advance(100);
  return { world, baz, bing };
}

/** Until baz' term is over, and somewhat longer. */
async function neverBothLead(world: World, baz: Candidate, bing: Candidate): Promise<void> {
  for (let ms = 0; ms < 40_000; ms += 100) {
    await world.time.advance(100);
    expect(baz.leads && bing.leads, `at ${String(world.time.now)} ms`).toBe(false);
  }
}

describe('a Lease that is deleted', () => {
  it('is owed for a lease from its loss: its last renewals may not have been seen', async () => {
    const { world, baz, bing } = await twoReplicas();
    bing.lock.watchStalled = true;
    await world.time.advance(13_800);
    bing.lock.watchStalled = false;
    cutOff(baz);
    world.lease.delete();
    await neverBothLead(world, baz, bing);
    expect(bing.leads).toBe(true);
  });

  it('is owed also by one whose own Lease, asked for before the other was made, is made when that has gone', async () => {
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

  it('… and that is not released, either: others would take it for free', async () => {
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

  it('is owed by a process whose own record in it had long run out', async () => {
    const { world, baz, bing } = await twoReplicas();
    cutOff(baz);
    await world.time.advanceUntil(() => bing.leads, 30_000);
    await world.time.advance(5_000);
    cutOff(bing);
    world.lease.delete();
    baz.lock.fate = () => 'answer';
    await neverBothLead(world, bing, baz);
  });

  it('is owed also when an empty one takes its place', async () => {
    const { world, baz, bing } = await twoReplicas();
    cutOff(baz);
    world.lease.delete();
    world.lease.edit(recordOf('', { acquireTime: undefined, renewTime: undefined }));
    await neverBothLead(world, baz, bing);
    expect(bing.leads).toBe(true);
  });

  it('is owed by a newcomer who hears of the deletion before anything else', async () => {
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

  it('is noticed when the watch opens anew, if that had ended before', async () => {
    const { world, baz, bing } = await twoReplicas();
    await world.time.advance(5_000);
    cutOff(baz);
    bing.lock.endWatch();
    world.lease.delete();
    await world.time.advanceUntil(() => bing.leads, 15_000 + 100);
  });

  it('is not brought back by an event from before, whose write began a term', async () => {
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

  it('is not brought back by an event that the deletion has overtaken', async () => {
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
  it('is owed to its holder until it would have run out: that may not have heard of it', async () => {
    const { world, baz, bing } = await twoReplicas();
    cutOff(baz);
    const { record } = world.lease.stored as LeaseSnapshot;
    world.lease.edit({ ...record, holderIdentity: '' });
    await neverBothLead(world, baz, bing);
    expect(bing.leads).toBe(true);
  });

  it('is owed to its holder also by who has missed a renewal of it', async () => {
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

  it('is had again at once by its holder', async () => {
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

describe('processes of one name', () => {
  it('do not lead together, whatever they write at one instant', async () => {
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

describe('a first write that arrives late, when another has held the lease and somebody has deleted it', () => {
  it.each(['told of', 'read'])('begins no term while that one is still respected: %s', async (how) => {
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
    if (how === 'told of') tell({ kind: 'seen', snapshot: world.lease.stored as LeaseSnapshot });
    await neverBothLead(world, bing, baz);
    expect(baz.leads).toBe(true);
  });
});
