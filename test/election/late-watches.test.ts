/** Watches that lag, and watches that are open and silent. */
import { describe, expect, it } from 'vitest';
import { pause, type Candidacy, type MicroTime } from '../../lib/election/internal.js';
import type { SimulatedRequest } from '../../lib/testing/simulated-lease.js';
import { World, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

const MINUTE_MS = 60_000;

/** Counts how often the candidate opens its watch from now on. */
function countOpened(candidate: Candidate): { times: number } {
  const opened = { times: 0 };
  const { watch } = candidate.lock;
  candidate.lock.watch = (onEvent, signal) => {
    opened.times += 1;
    return watch(onEvent, signal);
  };
  return opened;
}

function readsOf(candidate: Candidate): { sent: SimulatedRequest[] } {
  const reads: { sent: SimulatedRequest[] } = { sent: [] };
  candidate.lock.fate = (request) => {
    if (request.verb === 'get') reads.sent.push(request);
    return 'answer';
  };
  return reads;
}

const notStanding = (): Candidacy => ({
  stands: false,
  objection: undefined,
  observe: () => () => undefined,
});

async function leaderAndFollower(): Promise<{ world: World; baz: Candidate; bing: Candidate }> {
  const world = new World();
  const baz = world.start('baz');
  await world.time.advance(100);
  const bing = world.start('bing');
  await world.time.advance(20_000);
  return { world, baz, bing };
}

/** Another implementation holds the lease, and renews it at these intervals. */
function foreignLeader(world: World, everyMs: (renewals: number) => number): { stop: () => void } {
  let renewals = 0;
  let stopped = false;
  const renew = (): void => {
    if (stopped) return;
    renewals += 1;
    const micros = String(renewals).padStart(6, '0');
    world.lease.edit(recordOf('go', { renewTime: `2026-01-01T00:00:00.${micros}Z` as MicroTime }));
    world.time.schedule(everyMs(renewals), renew);
  };
  renew();
  return {
    stop: () => {
      stopped = true;
    },
  };
}

describe("a leader's watch that lags", () => {
  it.each([
    [3_000, []],
    [10_000, ['error LEADER_WATCH_BROKEN']],
    [30_000, ['error LEADER_WATCH_BROKEN']],
  ])('by %d ms is reopened less and less often, and reported: %j', async (lagMs, reported) => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    baz.lock.eventFate = ({ kind }) => (kind === 'opened' ? {} : { delayMs: lagMs });
    const opened = countOpened(baz);
    await world.time.advance(10 * MINUTE_MS);
    expect(opened.times).toBeGreaterThanOrEqual(1);
    expect(opened.times).toBeLessThanOrEqual(8);
    expect(baz.story).toEqual(['started 1', 'leader baz', ...reported]);
  });

  it('and shows nothing is reopened less and less often', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    baz.lock.eventFate = ({ kind }) => ({ dropped: kind === 'seen' });
    const opened = countOpened(baz);
    await world.time.advance(10 * MINUTE_MS);
    expect(opened.times).toBeGreaterThanOrEqual(5);
    expect(opened.times).toBeLessThanOrEqual(20);
  });

  it('and recovers is detected as fast as before when it falls silent', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    baz.lock.eventFate = ({ kind }) => (kind === 'opened' ? {} : { delayMs: 30_000 });
    await world.time.advance(5 * MINUTE_MS);
    baz.lock.eventFate = () => ({});
    await world.time.advance(2 * MINUTE_MS);
    const opened = countOpened(baz);
    baz.lock.watchStalled = true;
    // A renewal, and the retryPeriod within which the watch must show it.
    await world.time.advance(3_340 + 2_010);
    expect(opened.times).toBe(1);
  });
});

describe("a follower's watch that is open and silent", () => {
  it('a hand-over is detected after two missing renewals', async () => {
    const { world, baz, bing } = await leaderAndFollower();
    bing.lock.watchStalled = true;
    const from = world.time.now;
    baz.stop();
    await world.time.advanceUntil(() => bing.leads, 30_000);
    expect(world.time.now - from).toBeLessThan(2.3 * 3_334);
  });

  it('it is detected sooner if the leader renewed more often', async () => {
    const world = new World();
    const go = foreignLeader(world, () => 500);
    const bing = world.start('bing');
    await world.time.advance(20_000);
    bing.lock.watchStalled = true;
    go.stop();
    const released = '2026-01-01T00:00:20.000001Z' as MicroTime;
    world.lease.edit(recordOf('', { leaseDurationSeconds: 1, acquireTime: released, renewTime: released }));
    const from = world.time.now;
    await world.time.advanceUntil(() => bing.leads, 30_000);
    expect(world.time.now - from).toBeLessThan(1_500);
  });

  it.each<[string, (renewals: number) => number]>([
    ['every 2 s, as client-go does', () => 2_000],
    ['every 2 s, with one in three late', (renewals) => (renewals % 3 === 0 ? 2_600 : 2_000)],
    ['every 2 s, with one in ten missing', (renewals) => (renewals % 10 === 0 ? 4_000 : 2_000)],
    ['every 10 s', () => 10_000],
    ['every 14 s', () => 14_000],
  ])('a follower of a leader that renews %s sends no reads', async (_, everyMs) => {
    const world = new World();
    foreignLeader(world, everyMs);
    const bing = world.start('bing');
    await world.time.advance(MINUTE_MS);
    const reads = readsOf(bing);
    await world.time.advance(10 * MINUTE_MS);
    expect(reads.sent).toHaveLength(0);
    expect(bing.leads).toBe(false);
  });

  it('renewals that are shown in one burst cause no reads: they say nothing about how often the leader renews', async () => {
    const world = new World();
    foreignLeader(world, () => 3_000);
    const bing = world.start('bing');
    await world.time.advance(1_000);
    const from = world.time.now;
    bing.lock.eventFate = () => ({ delayMs: Math.max(from + 5_500 - world.time.now, 0) });
    const reads = readsOf(bing);
    await world.time.advance(MINUTE_MS);
    expect(reads.sent).toHaveLength(0);
  });

  it('if the leader has died, the lease is read once, and taken over when it expires', async () => {
    const { world, baz, bing } = await leaderAndFollower();
    const reads = readsOf(bing);
    baz.lock.fate = () => 'lose';
    await world.time.advanceUntil(() => bing.leads, 30_000);
    expect(reads.sent).toHaveLength(1);
  });

  it.each<[string, (world: World) => void]>([
    [
      'nobody renews the lease',
      (world) => {
        world.lease.edit(recordOf('dead'));
      },
    ],
    [
      'the lease is free',
      (world) => {
        world.lease.edit(recordOf(''));
      },
    ],
    ['there is no Lease', () => undefined],
  ])(
    'a follower that must not lead reads once a minute while %s, and so learns who leads',
    async (_, begin) => {
      const world = new World();
      begin(world);
      const bing = world.start('bing', {}, {}, notStanding);
      await world.time.advance(1_000);
      const reads = readsOf(bing);
      const opened = countOpened(bing);
      await world.time.advance(30 * MINUTE_MS);
      expect(reads.sent.length).toBeGreaterThanOrEqual(30);
      expect(reads.sent.length).toBeLessThanOrEqual(40);
      expect(opened.times).toBe(0);
      bing.lock.hangWatch();
      world.start('baz');
      await world.time.advance(MINUTE_MS);
      expect(bing.elector.state).toMatchObject({ kind: 'following', leader: 'baz' });
      expect(opened.times).toBe(1);
    },
  );

  it('if the leader still renews, the watch is reopened at once, and the next hand-over is seen immediately', async () => {
    const { world, baz, bing } = await leaderAndFollower();
    const opened = countOpened(bing);
    bing.lock.watchStalled = true;
    await world.time.advanceUntil(() => opened.times === 1, 2.3 * 3_334);
    bing.lock.watchStalled = false;
    await world.time.advance(4_000);
    baz.stop();
    await world.time.advanceUntil(() => bing.leads, 20);
  });

  it('if it falls silent again and again, it is reopened less often, with at most one read per two renewals', async () => {
    const { world, bing } = await leaderAndFollower();
    const opened = countOpened(bing);
    const reads = readsOf(bing);
    bing.lock.eventFate = ({ kind }) => ({ dropped: kind === 'seen' });
    await world.time.advance(10 * MINUTE_MS);
    expect(opened.times).toBeLessThanOrEqual(20);
    // One read for each silence, and one for each watch that opens.
    expect(reads.sent.length).toBeLessThanOrEqual((10 * MINUTE_MS) / (2 * 3_334) + 20);
  });

  it('a read that fails is repeated once per retryPeriod', async () => {
    const { world, baz, bing } = await leaderAndFollower();
    bing.lock.watchStalled = true;
    let reads = 0;
    bing.lock.fate = ({ verb }) => (verb === 'get' && reads++ === 0 ? 'lose' : 'answer');
    const from = world.time.now;
    baz.stop();
    await world.time.advanceUntil(() => bing.leads, 30_000);
    expect(world.time.now - from).toBeLessThan(2.3 * 3_334 + 2_500);
  });

  it('a watch that only lags causes no reads', async () => {
    const { world, bing } = await leaderAndFollower();
    bing.lock.eventFate = () => ({ delayMs: 3_000 });
    await world.time.advance(MINUTE_MS);
    const reads = readsOf(bing);
    const opened = countOpened(bing);
    await world.time.advance(10 * MINUTE_MS);
    expect([reads.sent.length, opened.times]).toEqual([0, 0]);
  });
});

describe('a watch that ends again and again while reads are slow', () => {
  it.each([
    ['at once', 0, 2_800],
    ['after a retryPeriod', 2_000, 2_500],
    ['after a retryPeriod, with even slower reads', 2_000, 3_500],
  ])('%s: an expired lease is taken over nevertheless', async (_, livesMs, readMs) => {
    const world = new World();
    world.lease.edit(recordOf('dead'));
    const baz = world.start('baz');
    const { get, watch } = baz.lock;
    baz.lock.get = async (call) => {
      const lease = await get(call);
      await pause(baz.clock, readMs);
      return lease;
    };
    baz.lock.watch = async (onEvent, signal) => {
      const ended = new AbortController();
      void pause(baz.clock, livesMs).then(() => {
        ended.abort();
      });
      await watch(onEvent, AbortSignal.any([signal, ended.signal]));
    };
    await world.time.advance(25_000);
    expect(baz.leads).toBe(true);
  });
});
