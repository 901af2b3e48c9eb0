/**
 * Coordinated elections (KEP-4355): the API server says who is to hold the lease. It decides who claims it, but not when, so
 * it cannot make two processes lead.
 */
import { describe, expect, it } from 'vitest';
import type { MicroTime } from '../../../lib/election/index.js';
import { CoordinatedWorld, type CandidateProcess } from './coordinated-world.js';
import { recordOf } from '../../election/records.js';

/** A world in which `a` has been elected and leads, and `b` is a candidate. */
async function ledByA(options = {}): Promise<[CoordinatedWorld, CandidateProcess, CandidateProcess]> {
  const world = new CoordinatedWorld();
  const [a, b] = [world.start('a', options), world.start('b')];
  await world.time.advance(1_000);
  world.elect('a');
  await world.time.advance(10);
  expect(world.leaders).toEqual(['a']);
  return [world, a, b];
}

/** Checks that it happens at this time: not 100 ms earlier, and at once. */
async function leadsAfter(
  { time }: CoordinatedWorld,
  candidate: CandidateProcess,
  ms: number,
): Promise<void> {
  await time.advance(ms - 100);
  expect(candidate.leads).toBe(false);
  await time.advance(200);
  expect(candidate.leads).toBe(true);
}

describe('a candidate', () => {
  it('stands once it has seen the Lease, and writes nothing until it is elected', async () => {
    const world = new CoordinatedWorld();
    const a = world.start('a');
    expect(a.isUp).toBe(false);
    await world.time.advance(120_000);
    expect([a.isUp, world.lease.stored, a.elector.state.kind]).toEqual([true, undefined, 'following']);
  });

  it('takes over neither an expired nor a free lease: the API server gives it', async () => {
    const world = new CoordinatedWorld();
    world.start('a');
    world.lease.edit(recordOf('dead'));
    await world.time.advance(60_000);
    world.lease.edit(recordOf(''));
    await world.time.advance(60_000);
    expect(world.story.filter((line) => line.startsWith('a writes'))).toEqual([]);
  });

  it('claims the lease when it is elected, with times, a transition and a note', async () => {
    const [world, a] = await ledByA();
    const { record, resourceVersion } = world.lease.stored ?? {};
    expect(record).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 1 });
    expect(record?.acquireTime?.slice(0, 20)).toBe(record?.renewTime?.slice(0, 20));
    expect(world.heldAt).toBe(record?.renewTime);
    expect(a.term?.fencingToken.toString()).toBe(resourceVersion);
    expect(a.facts).toContainEqual({ type: 'termBegan', term: a.term, takeover: 'clean' });
  });

  it('renews the lease that it was given, together with the note', async () => {
    const [world, a] = await ledByA();
    const before = world.heldAt;
    await world.time.advance(60_000);
    const record = world.lease.stored?.record;
    expect(a.leads).toBe(true);
    expect(world.heldAt).toBe(record?.renewTime);
    expect(world.heldAt).not.toBe(before);
  });

  it('does not copy times in the future from the Lease or its note', async () => {
    const AHEAD = '2101-02-03T04:05:06.000007Z' as MicroTime;
    const world = new CoordinatedWorld();
    const record = recordOf('', { renewTime: AHEAD, acquireTime: AHEAD });
    const annotations = { 'nestjs-leader/held-at': AHEAD };
    world.lease.edit(record, { metadata: { uid: 'uid-1', resourceVersion: '1', annotations } });
    const a = world.start('a');
    await world.time.advance(1_000);
    world.elect('a');
    await world.time.advance(10);
    expect(a.leads).toBe(true);
    const times = (): unknown[] => {
      const { acquireTime, renewTime } = world.lease.stored?.record ?? {};
      return [acquireTime, renewTime, world.heldAt].map((time) => String(time).slice(0, 4));
    };
    const year = String(new Date(a.elector.clock?.date() ?? 0).getUTCFullYear());
    expect(times()).toEqual([year, year, year]);
    await world.time.advance(10_000);
    expect(times()).toEqual([year, year, year]);
    a.stop();
    await world.time.advance(100);
    expect([world.lease.stored?.record.holderIdentity, ...times()]).toEqual(['', year, year, year]);
  });

  it('stands even while its term is being prepared', async () => {
    const world = new CoordinatedWorld();
    const slowly = (): Promise<void> =>
      new Promise((resolve) => {
        world.time.schedule(500, resolve);
      });
    const a = world.start('a', {}, {}, { guard: { atStart: slowly, atEnd: slowly } });
    await world.time.advance(1_000);
    world.elect('a');
    await world.time.advance(1_000);
    expect(a.leads).toBe(true);
    expect(world.story.filter((line) => !line.includes('writes'))).toEqual(['a stands']);
  });

  it('does not campaign before it knows whether the API server elects; claims as usual if it does not', async () => {
    const world = new CoordinatedWorld();
    const a = world.start('a');
    a.elects = undefined;
    await world.time.advance(60_000);
    expect([a.isUp, world.lease.stored]).toEqual([false, undefined]);
    a.learn(false);
    await world.time.advance(10);
    expect(a.leads).toBe(true);
  });
});

describe('a holder', () => {
  it('hands over when another is preferred: withdraws its candidate, then releases the lease', async () => {
    const [world, a, b] = await ledByA();
    const leave = a.term?.enter();
    world.story.length = 0;
    world.prefer('b');
    await world.time.advance(20_000);
    // While work still runs, the lease is renewed.
    expect(a.term?.signal.aborted).toBe(true);
    expect(world.lease.stored?.record.holderIdentity).toBe('a');
    expect(world.preferredHolder).toBe('b');
    leave?.();
    await world.time.advance(5);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
    expect(world.preferredHolder).toBe('b');
    world.elect('b');
    await world.time.advance(8);
    expect(b.leads).toBe(true);
    const told = world.story.filter((line) => line !== 'a writes a');
    expect(told).toEqual([
      'server writes a',
      'a withdraws',
      'a writes ',
      'a stops, steppedDown',
      'server writes b',
      'b writes b',
    ]);
  });

  it('keeps leading, and stands, when the server begins to elect, and when it stops electing', async () => {
    const world = new CoordinatedWorld();
    const a = world.start('a');
    a.elects = false;
    await world.time.advance(1_000);
    const { term } = a;
    expect(a.leads).toBe(true);
    a.learn(true);
    await world.time.advance(60_000);
    expect([a.term === term && a.leads, a.isUp]).toEqual([true, true]);
    a.learn(false);
    await world.time.advance(60_000);
    expect(a.term === term && a.leads).toBe(true);
    expect(world.lease.stored?.record).toMatchObject({ holderIdentity: 'a', leaseTransitions: 0 });
    expect(world.heldAt).toBe(world.lease.stored?.record.renewTime);
  });

  it('keeps leading when it is itself preferred', async () => {
    const [world, a] = await ledByA();
    world.prefer('a');
    await world.time.advance(60_000);
    expect(a.leads).toBe(true);
  });

  it('is not a candidate while it cools down, and is one again afterwards', async () => {
    const [world, a] = await ledByA();
    await Promise.all([a.elector.stepDown({ cooldown: 30_000 }), world.time.advance(100)]);
    await world.time.advance(29_000);
    expect(a.isUp).toBe(false);
    await world.time.advance(1_000);
    expect(a.isUp).toBe(true);
  });

  it('withdraws before it releases when it stops, so that it is not elected again', async () => {
    const [world, a] = await ledByA();
    world.story.length = 0;
    a.stop();
    await world.time.advance(100);
    expect(world.story).toEqual(['a withdraws', 'a writes ', 'a stops, stopped']);
    expect(a.ended).toBe(true);
  });

  it('still releases the lease if its withdrawal takes longer than a request may', async () => {
    const [world, a] = await ledByA();
    a.withdrawalMs = 3_000;
    world.story.length = 0;
    a.stop();
    await world.time.advance(4_000);
    expect(world.story).toEqual(['a withdraws', 'a writes ', 'a stops, stopped']);
    expect(a.ended).toBe(true);
  });

  it.each<[string, (world: CoordinatedWorld, a: CandidateProcess) => void, boolean]>([
    [
      'another is preferred',
      (world) => {
        world.prefer('b');
      },
      true,
    ],
    ['it steps down', (_, a) => void a.elector.stepDown(), true],
    [
      'it is to stop',
      (_, a) => {
        a.stop();
      },
      false,
    ],
  ])(
    'withdraws before it releases a term that is still being prepared: %s',
    async (_, happens, standsAgain) => {
      const world = new CoordinatedWorld();
      const slowly = (): Promise<void> =>
        new Promise((resolve) => {
          world.time.schedule(500, resolve);
        });
      const a = world.start('a', {}, {}, { guard: { atStart: slowly, atEnd: slowly } });
      await world.time.advance(1_000);
      world.elect('a');
      await world.time.advance(100);
      world.story.length = 0;
      happens(world, a);
      await world.time.advance(1_900);
      expect(a.term).toBeUndefined();
      expect(world.story.filter((line) => line !== 'server writes a')).toEqual(['a withdraws', 'a writes ']);
      expect([a.isUp, world.lease.stored?.record.holderIdentity]).toEqual([false, '']);
      await world.time.advance(2_000);
      expect(a.isUp).toBe(standsAgain);
    },
  );

  it('refuses to run twice, and keeps leading', async () => {
    const [world, a] = await ledByA();
    const again = a.elector.run(AbortSignal.abort(), () => undefined);
    await expect(again).rejects.toMatchObject({ code: 'LEADER_ALREADY_STARTED' });
    await world.time.advance(60_000);
    expect([a.leads, a.isUp]).toEqual([true, true]);
  });

  it('stands while it leads, even if it waited for work of an earlier term', async () => {
    const [world, a] = await ledByA();
    const leave = a.term?.enter();
    a.cutOff();
    await world.time.advance(11_000);
    expect([a.leads, a.isUp]).toEqual([false, false]);
    leave?.();
    a.lock.fate = () => 'answer';
    a.lock.watchStalled = false;
    a.lock.endWatch();
    await world.time.advanceUntil(() => a.leads, 5_000);
    a.term?.enter();
    a.learn(true);
    await world.time.advance(100);
    expect([a.leads, a.isUp]).toEqual([true, true]);
  });

  it('keeps leading when it is chosen to replace itself', async () => {
    const [world, a, b] = await ledByA();
    const { term } = a;
    world.elect('a');
    await world.time.advance(60_000);
    expect([a.term === term && a.leads, b.leads]).toEqual([true, false]);
    expect(world.lease.stored?.record).toMatchObject({ leaseDurationSeconds: 15, leaseTransitions: 1 });
    expect(world.lease.stored?.record.acquireTime).toBeDefined();
  });

  it('ends its term when the server gives the lease to another', async () => {
    const [world, a] = await ledByA();
    world.elect('b');
    await world.time.advance(5);
    expect(a.leads).toBe(false);
    expect(world.story).toContain('a stops, superseded');
  });
});

describe('a process that is elected to replace a leader', () => {
  it('claims at once if the leader has released the lease', async () => {
    const [world, a, b] = await ledByA();
    a.stop();
    await world.time.advance(10);
    world.elect('b');
    await world.time.advance(5);
    expect(b.leads).toBe(true);
  });

  it('hears of it within a minute, even if its watch has hung since the lease was free', async () => {
    const [world, a, b] = await ledByA();
    a.stop();
    await world.time.advance(1_000);
    b.lock.hangWatch();
    world.elect('b');
    await world.time.advance(61_000);
    expect(b.leads).toBe(true);
  });

  it('waits until the leader can no longer be certain of its term, whatever the clock of the server says', async () => {
    const [world, a, b] = await ledByA();
    a.cutOff();
    await world.time.advance(2_000);
    world.elect('b');
    await world.time.advance(12_900);
    expect([a.leads, b.leads]).toEqual([false, false]);
    await world.time.advance(200);
    expect(b.leads).toBe(true);
  });

  it('waits even with reclaimOwnLease: the lease that the server gave was never its own', async () => {
    const [world, a] = await ledByA();
    const c = world.start('c', { reclaimOwnLease: true });
    await world.time.advance(1_000);
    a.cutOff();
    world.elect('c');
    const until = world.time.now + 20_000;
    while (await world.time.step(until)) expect([a.leads, c.leads]).not.toEqual([true, true]);
    expect(c.leads).toBe(true);
  });

  it('takes a lease for which another is preferred, and hands it over: the other may be dead, so the server must choose anew', async () => {
    const world = new CoordinatedWorld();
    const b = world.start('b');
    await world.time.advance(1_000);
    world.elect('b');
    world.prefer('c');
    await world.time.advance(100);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
    expect([b.leads, world.story.at(-1)]).toEqual([false, 'b stops, steppedDown']);
  });

  it('is a new candidate when another is chosen before it may claim, so that it is younger than that one', async () => {
    const [world, a, b] = await ledByA();
    world.start('c');
    await world.time.advance(1_000);
    a.cutOff();
    world.elect('b');
    await world.time.advance(5_000);
    world.story.length = 0;
    world.elect('c');
    await world.time.advance(100);
    expect(world.story).toEqual(expect.arrayContaining(['b withdraws', 'b stands']));
    expect(b.isUp).toBe(true);
  });

  it('waits for a whole lease when it may have missed renewals', async () => {
    const [world, a, b] = await ledByA();
    b.lock.watchStalled = true;
    // Its reads, which it makes when its watch is silent, are not answered either.
    b.lock.fate = () => 'lose';
    await world.time.advance(14_000);
    a.cutOff();
    b.lock.watchStalled = false;
    b.lock.fate = () => 'answer';
    world.elect('b');
    await leadsAfter(world, b, 15_000);
  });

  it('waits for a whole lease after a holder that leaves no notes', async () => {
    const world = new CoordinatedWorld();
    const b = world.start('b');
    world.lease.edit(recordOf('client-go'));
    await world.time.advance(20_000);
    world.elect('b');
    await leadsAfter(world, b, 15_000);
  });

  it.each([
    ['at once if nobody has ever held it', undefined, 8],
    ['after a whole lease if an unseen holder without notes has created it', 'p', 15_050],
  ])('claims a new Lease: %s', async (_, holder, afterMs) => {
    const world = new CoordinatedWorld();
    const b = world.start('b');
    await world.time.advance(1_000);
    b.lock.watchStalled = true;
    if (holder !== undefined) world.lease.edit(recordOf(holder));
    await world.time.advance(10);
    world.elect('b');
    const electedAt = world.time.now;
    b.lock.watchStalled = false;
    b.lock.endWatch();
    await world.time.advanceUntil(() => b.leads, 20_000);
    const waitedMs = world.time.now - electedAt;
    expect([waitedMs > afterMs - 200, waitedMs <= afterMs]).toEqual([true, true]);
  });

  it('waits no longer if the process elected before it has never claimed the lease', async () => {
    const world = new CoordinatedWorld();
    const b = world.start('b');
    await world.time.advance(1_000);
    world.elect('dead');
    await world.time.advance(10_000);
    world.elect('b');
    await leadsAfter(world, b, 5_000);
  });

  it("waits again when it is elected again: one of client-go's candidates may have held the lease", async () => {
    const world = new CoordinatedWorld();
    const b = world.start('b');
    world.lease.edit(recordOf('p'));
    world.elect('b');
    await world.time.advance(10);
    b.lock.watchStalled = true;
    await world.time.advance(10_000);
    // It renews the record as it was given, without counting a transition or setting acquireTime.
    world.lease.edit(recordOf('client-go', { acquireTime: undefined }));
    await world.time.advance(10);
    b.lock.watchStalled = false;
    world.elect('b');
    await leadsAfter(world, b, 15_000);
  });

  it('is the only leader although two processes have its name', async () => {
    const world = new CoordinatedWorld();
    world.start('a');
    world.start('a');
    await world.time.advance(1_000);
    world.elect('a');
    await world.time.advance(60_000);
    expect(world.leaders).toEqual(['a']);
  });

  it('takes over an expired lease of its own name from before a restart: nobody else would be elected', async () => {
    const world = new CoordinatedWorld();
    world.lease.edit(recordOf('a'));
    const a = world.start('a');
    await world.time.advance(14_900);
    expect(a.leads).toBe(false);
    await world.time.advance(200);
    expect(a.leads).toBe(true);
  });
});

describe('a process without the option coordinated, or with a server that does not elect', () => {
  it.each([true, false])(
    'keeps leading when another is preferred (option coordinated: %s)',
    async (coordinated) => {
      const world = new CoordinatedWorld();
      const p = world.start('p', {}, {}, { coordinated });
      p.elects = false;
      await world.time.advance(1_000);
      const { term } = p;
      world.prefer('b');
      await world.time.advance(60_000);
      expect(term).toBeDefined();
      expect(p.leads && p.term === term).toBe(true);
    },
  );

  it('counts a transition when it claims a lease that the server gave to its name, so that the next process notices', async () => {
    const [world, a, b] = await ledByA();
    a.cutOff();
    b.lock.watchStalled = true;
    world.elect('c');
    const namesake = world.start('c', {}, {}, { coordinated: false });
    await world.time.advanceUntil(() => namesake.leads, 20_000);
    b.lock.watchStalled = false;
    world.elect('b');
    namesake.cutOff();
    const until = world.time.now + 20_000;
    while (await world.time.step(until)) expect([namesake.leads, b.leads]).not.toEqual([true, true]);
    expect(b.leads).toBe(true);
  });

  it.each(['was there before', 'starts afterwards'])(
    'respects the last leader when the server names another, for 5 s: it %s',
    async (when) => {
      const [world, a] = await ledByA();
      const start = (): CandidateProcess => {
        const p = world.start('p');
        p.elects = false;
        return p;
      };
      const before = when === 'was there before' ? start() : undefined;
      await world.time.advance(10);
      a.cutOff();
      world.elect('b');
      world.candidates[1]?.cutOff();
      await world.time.advance(10);
      const p = before ?? start();
      const until = world.time.now + 20_000;
      while (await world.time.step(until)) expect([a.leads, p.leads]).not.toEqual([true, true]);
      expect(p.leads).toBe(true);
    },
  );
});
