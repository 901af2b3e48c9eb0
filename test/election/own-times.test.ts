/** This process writes its own times and counts, whatever others have written into the Lease. */
import { describe, expect, it } from 'vitest';
import type { LeaseRecord, LeaseSnapshot, MicroTime } from '../../lib/election/index.js';
import { World, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

const AHEAD = '2101-02-03T04:05:06.000007Z' as MicroTime;
const MOST_TRANSITIONS = 2_147_483_647;

const stored = (world: World): LeaseRecord => (world.lease.stored as LeaseSnapshot).record;
const yearOf = ({ clock }: Candidate): string => new Date(clock.date()).toISOString().slice(0, 4);
const yearsIn = ({ acquireTime, renewTime }: LeaseRecord): (string | undefined)[] =>
  [acquireTime, renewTime].filter((time) => time !== undefined).map((time) => time.slice(0, 4));

describe('times in the future', () => {
  it.each<[string, LeaseRecord]>([
    [
      'of a holder whose lease expires',
      recordOf('other', { leaseDurationSeconds: 1, renewTime: AHEAD, acquireTime: AHEAD }),
    ],
    [
      'of a holder that released',
      recordOf('', { leaseDurationSeconds: 1, renewTime: AHEAD, acquireTime: AHEAD }),
    ],
    [
      'of a holder that released and kept the duration',
      recordOf('', { renewTime: AHEAD, acquireTime: AHEAD }),
    ],
  ])('%s are not copied by the take-over, renewals or the release', async (_, record) => {
    const world = new World();
    world.lease.edit(record);
    const baz = world.start('baz');
    await world.time.advanceUntil(() => baz.leads, 20_000);
    const year = yearOf(baz);
    const own = ({ acquireTime, renewTime }: LeaseRecord): LeaseRecord =>
      recordOf('', { acquireTime, renewTime });
    expect(yearsIn(own(stored(world)))).toEqual([year, year]);
    await world.time.advance(10_000);
    expect(yearsIn(own(stored(world)))).toEqual([year, year]);
    baz.stop();
    await world.time.advance(100);
    expect(stored(world).holderIdentity).toBe('');
    expect(yearsIn(own(stored(world)))).toEqual([year, year]);
  });

  it('that somebody edits into our own record are not copied, either', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    world.lease.edit({ ...stored(world), renewTime: AHEAD });
    await world.time.advance(10_000);
    expect(stored(world).renewTime?.slice(0, 4)).toBe(yearOf(baz));
    baz.stop();
    await world.time.advance(100);
    expect(yearsIn(stored(world))).toEqual([yearOf(baz), yearOf(baz)]);
  });
});

it('a Lease whose transitions are at their maximum can be acquired, and keeps that number', async () => {
  const world = new World();
  world.lease.edit(recordOf('', { leaseTransitions: MOST_TRANSITIONS }));
  const baz = world.start('baz');
  await world.time.advance(100);
  expect(baz.leads).toBe(true);
  expect(stored(world).leaseTransitions).toBe(MOST_TRANSITIONS);
});

describe('lockDelay', () => {
  const lockDelay = 5_000;

  it('applies to a Lease that was deleted under another holder', async () => {
    const world = new World();
    world.lease.edit(recordOf('gone'));
    const baz = world.start('baz', { lockDelay });
    await world.time.advance(1_000);
    world.lease.delete();
    await world.time.advance(19_900);
    expect(baz.leads).toBe(false);
    await world.time.advanceUntil(() => baz.leads, 300);
  });

  it('applies neither where there never was a Lease nor to our own', async () => {
    const world = new World();
    const baz = world.start('baz', { lockDelay });
    await world.time.advance(100);
    expect(baz.leads).toBe(true);
    world.lease.delete();
    await world.time.advance(20);
    expect(baz.leads).toBe(true);
  });
});
