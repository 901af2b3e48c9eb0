/** Somebody else edits the times or transitions in a leader's record. */
import { describe, expect, it } from 'vitest';
import type { LeaseRecord, LeaseSnapshot, MicroTime } from '../../lib/election/index.js';
import { World, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

const FUTURE = '2101-02-03T04:05:06.000007Z' as MicroTime;
const PAST = '2001-02-03T04:05:06.000007Z' as MicroTime;

const touch = (world: World, changes: Partial<LeaseRecord>): void => {
  world.lease.edit({ ...(world.lease.stored as LeaseSnapshot).record, ...changes });
};
const terms = ({ story }: Candidate): string[] => story.filter((line) => line.startsWith('st'));

async function leaderAndFollower(): Promise<{ world: World; baz: Candidate; bing: Candidate }> {
  const world = new World();
  const baz = world.start('baz');
  await world.time.advance(100);
  const bing = world.start('bing');
  await world.time.advance(900);
  return { world, baz, bing };
}

describe.each(['with a watch', 'without one'])('a touch of the leader’s record, %s', (watch) => {
  const prepared = async (): Promise<{ world: World; baz: Candidate; bing: Candidate }> => {
    const all = await leaderAndFollower();
    all.baz.lock.watchStalled = watch === 'without one';
    return all;
  };

  it.each<[string, Partial<LeaseRecord>]>([
    ['an older renewTime', { renewTime: PAST }],
    ['a renewTime in the future', { renewTime: FUTURE }],
    ['no renewTime', { renewTime: undefined }],
    ['fewer transitions', { leaseTransitions: 0 }],
    ['more transitions', { leaseTransitions: 41 }],
    ['no transitions', { leaseTransitions: undefined }],
    ['both', { renewTime: PAST, leaseTransitions: 3 }],
  ])('that writes %s has no consequences', async (_, changes) => {
    const { world, baz, bing } = await prepared();
    touch(world, changes);
    await world.time.advance(60_000);
    expect(terms(baz)).toEqual(['started 1']);
    expect(terms(bing)).toEqual([]);
    expect(String(world.lease.stored?.record.renewTime).slice(0, 4)).toBe(
      new Date(baz.clock.date()).getUTCFullYear().toString(),
    );
  });

  it('may be followed by another one when our next renewal has stayed in the lease', async () => {
    const { world, baz } = await prepared();
    for (let touches = 0; touches < 5; touches++) {
      touch(world, { renewTime: PAST });
      await world.time.advance(9_000);
    }
    expect(terms(baz)).toEqual(['started 1']);
  });

  it('does not extend the term: its validity counts from our own last write', async () => {
    const { world, baz } = await prepared();
    const left = baz.term.remaining();
    baz.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : 'lose');
    touch(world, { renewTime: FUTURE });
    await world.time.advance(left - 10);
    expect(terms(baz)).toEqual(['started 1']);
    await world.time.advance(20);
    expect(terms(baz)).toEqual(['started 1', 'stopped deadline']);
  });
});

describe('a touch', () => {
  it('is overwritten at once', async () => {
    const { world, baz } = await leaderAndFollower();
    touch(world, { renewTime: PAST });
    await world.time.advance(10);
    expect(world.lease.stored?.record.renewTime).not.toBe(PAST);
    expect(baz.leads).toBe(true);
  });

  it('is released like any record of ours', async () => {
    const { world, baz, bing } = await leaderAndFollower();
    baz.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : 'lose');
    touch(world, { renewTime: PAST });
    await world.time.advance(10);
    baz.lock.fate = () => 'answer';
    baz.stop();
    await world.time.advance(50);
    expect(bing.leads).toBe(true);
  });

  it('can be confirmed: the lease is still ours', async () => {
    const { world, baz } = await leaderAndFollower();
    baz.lock.watchStalled = true;
    touch(world, { renewTime: PAST });
    const confirmed = baz.term.confirm();
    await world.time.advance(10);
    await expect(confirmed).resolves.toBeUndefined();
  });

  it.each<[string, Partial<LeaseRecord>]>([
    ['acquireTime, like the claim of a process with our name', { acquireTime: PAST }],
    ['the duration, so that others may wait less long', { leaseDurationSeconds: 3 }],
  ])('may not change %s: the term ends', async (_, changes) => {
    const { world, baz } = await leaderAndFollower();
    touch(world, changes);
    await world.time.advance(10);
    expect(terms(baz)).toEqual(['started 1', 'stopped superseded']);
  });

  it.each([0, 1_000])(
    'and another %d ms later, comes from a process with our name: the term ends',
    async (ms) => {
      const { world, baz } = await leaderAndFollower();
      baz.lock.fate = ({ verb }) => (verb === 'get' || ms > 0 ? 'answer' : 'lose');
      touch(world, { renewTime: PAST });
      await world.time.advance(ms + 10);
      touch(world, { renewTime: FUTURE });
      await world.time.advance(10);
      expect(terms(baz)).toEqual(['started 1', 'stopped superseded']);
    },
  );

  it('by a client-go process with our name, which renews every retryPeriod, ends the term with the second', async () => {
    const { world, baz } = await leaderAndFollower();
    for (let second = 0; second < 6; second += 2) {
      touch(world, { renewTime: `2001-02-03T04:05:0${String(second)}.000007Z` as MicroTime });
      await world.time.advance(2_000);
    }
    expect(terms(baz)[1]).toBe('stopped superseded');
  });
});

describe('a client-go process with our name that renews less often than we do', () => {
  it.each([3_400, 4_000, 5_000, 7_900])(
    '(every %d ms) ends the term with its second touch',
    async (period) => {
      const { world, baz } = await leaderAndFollower();
      const renew = (): void => {
        touch(world, {
          renewTime: new Date(baz.clock.date()).toISOString().replace('Z', '007Z') as MicroTime,
        });
      };
      renew();
      await world.time.advance(period - 10);
      expect(terms(baz)).toEqual(['started 1']);
      await world.time.advance(10);
      renew();
      await world.time.advance(10);
      expect(terms(baz)).toEqual(['started 1', 'stopped superseded']);
    },
  );

  it('has no consequences after it has not renewed for a lease duration', async () => {
    const { world, baz } = await leaderAndFollower();
    for (let second = 1; second < 4; second++) {
      touch(world, { renewTime: `2001-02-03T04:05:0${String(second)}.000007Z` as MicroTime });
      await world.time.advance(15_100);
    }
    expect(terms(baz)).toEqual(['started 1']);
  });
});

describe('a process with the leader’s name and reclaimOwnLease', () => {
  it('never leads beside it, even if acquireTime is at its maximum', async () => {
    const world = new World();
    world.lease.edit(recordOf('baz', { acquireTime: '9999-12-31T23:59:59.999999Z' as MicroTime }));
    const baz = world.start('baz', { reclaimOwnLease: true });
    await world.time.advance(100);
    const twin = world.start('baz', { reclaimOwnLease: true });
    for (let ms = 0; ms < 2_000; ms++) {
      await world.time.advance(1);
      expect(baz.leads && twin.leads, `after ${String(ms)} ms`).toBe(false);
    }
  });

  it('never leads beside it, because each claim moves acquireTime', async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const world = new World();
      for (let skipped = 0; skipped < seed; skipped++) world.time.chance.next();
      const baz = world.start('baz', { reclaimOwnLease: true });
      await world.time.advance(100);
      const { acquireTime } = (world.lease.stored as LeaseSnapshot).record;
      const twin = world.start('baz', { reclaimOwnLease: true });
      await world.time.advance(5);
      expect(world.lease.stored?.record.acquireTime).not.toBe(acquireTime);
      expect(baz.leads && twin.leads, `seed ${String(seed)}`).toBe(false);
    }
  });
});
