/** A single temporary failure does not delay a hand-over by a retryPeriod (G6), and no sequence of failures causes a loop. */
import { describe, expect, it } from 'vitest';
import { LeaseRequestError, type LeaderErrorCode } from '../../lib/election/index.js';
import type { RequestFate } from '../../lib/testing/simulated-faults.js';
import { World, type Candidate } from './candidate.js';

const error = (code: LeaderErrorCode, maybeCommitted: boolean, retryAfterMs?: number): LeaseRequestError =>
  new LeaseRequestError(code, 'planted', { maybeCommitted, retryAfterMs });

/** A few round trips of 2 ms. */
const A_MOMENT_MS = 25;

async function leaderAndFollower(
  settledFor = 9_000,
): Promise<{ world: World; baz: Candidate; bing: Candidate }> {
  const world = new World();
  const baz = world.start('baz');
  await world.time.advance(100);
  const bing = world.start('bing');
  await world.time.advance(settledFor);
  return { world, baz, bing };
}

/** How long after the leader was stopped the follower leads. */
async function handOver(world: World, baz: Candidate, bing: Candidate): Promise<number> {
  const from = world.time.now;
  baz.stop();
  await world.time.advanceUntil(() => bing.leads, 30_000);
  return world.time.now - from;
}

describe("the follower's watch broke just before the hand-over", () => {
  it.each<[string, LeaseRequestError | undefined, number]>([
    ['ended normally', undefined, 9_000],
    ['broke', error('LEADER_UNREACHABLE', false), 9_000],
    ['was too old', error('LEADER_SERVER_ERROR', false), 9_000],
    ['ended soon after it had opened', undefined, 500],
    ['broke soon after it had opened', error('LEADER_UNREACHABLE', false), 500],
  ])('%s: it is reopened at once', async (_, problem, settledFor) => {
    const { world, baz, bing } = await leaderAndFollower(settledFor);
    bing.lock.endWatch(problem);
    await world.time.advance(1.5);
    expect(await handOver(world, baz, bing)).toBeLessThan(A_MOMENT_MS);
  });

  it('broke, and the read that follows fails once', async () => {
    const { world, baz, bing } = await leaderAndFollower();
    let reads = 0;
    bing.lock.fate = ({ verb }) =>
      verb === 'get' && reads++ === 0 ? error('LEADER_SERVER_ERROR', false) : 'answer';
    bing.lock.endWatch(error('LEADER_UNREACHABLE', false));
    await world.time.advance(1.5);
    expect(await handOver(world, baz, bing)).toBeLessThan(A_MOMENT_MS);
  });
});

describe('the first claim failed once', () => {
  const passing: [string, RequestFate][] = [
    ['no connection', error('LEADER_UNREACHABLE', false)],
    ['the connection broke', error('LEADER_UNREACHABLE', true)],
    [
      'the connection broke, and it was committed',
      { error: error('LEADER_UNREACHABLE', true), carriedOut: true },
    ],
    ['a server error', error('LEADER_SERVER_ERROR', true)],
    ['a server error, and it was committed', { error: error('LEADER_SERVER_ERROR', true), carriedOut: true }],
    ['throttled, without Retry-After', error('LEADER_THROTTLED', false)],
  ];

  it.each(passing)('%s: it is repeated at once', async (_, fate) => {
    const { world, baz, bing } = await leaderAndFollower();
    let writes = 0;
    bing.lock.fate = ({ verb }) => (verb !== 'get' && writes++ === 0 ? fate : 'answer');
    expect(await handOver(world, baz, bing)).toBeLessThan(A_MOMENT_MS);
  });

  it.each(passing)('%s, when the lease expired', async (_, fate) => {
    const { world, baz, bing } = await leaderAndFollower();
    baz.lock.fate = () => 'lose';
    let writes = 0;
    let firstAt = Number.NaN;
    bing.lock.fate = ({ verb }) => {
      if (verb === 'get' || writes++ > 0) return 'answer';
      firstAt = world.time.now;
      return fate;
    };
    await world.time.advanceUntil(() => bing.leads, 30_000);
    expect(world.time.now - firstAt).toBeLessThan(A_MOMENT_MS);
  });

  it.each(passing)('%s, when the Lease must be created', async (_, fate) => {
    const world = new World();
    const baz = world.prepare('baz');
    let writes = 0;
    baz.lock.fate = ({ verb }) => (verb === 'create' && writes++ === 0 ? fate : 'answer');
    baz.start();
    await world.time.advanceUntil(() => baz.leads, A_MOMENT_MS);
  });

  it('with a conflict caused by an edit of labels, and then the read failed', async () => {
    const { world, baz, bing } = await leaderAndFollower();
    let requests = 0;
    bing.lock.fate = () => {
      requests += 1;
      if (requests === 1) return { conflict: true };
      return requests === 2 ? error('LEADER_SERVER_ERROR', false) : 'answer';
    };
    expect(await handOver(world, baz, bing)).toBeLessThan(A_MOMENT_MS);
  });

  it('after several races were lost in as many seconds', async () => {
    const { world, baz, bing } = await leaderAndFollower();
    // Others are faster, hold the lease for a second each, and release it.
    const rival = world.start('rival', { releaseOnCancel: true });
    await world.time.advance(3_000);
    for (let races = 0; races < 5; races++) {
      bing.lock.fate = () => ({ delayMs: 20 });
      const [first, second] = baz.leads ? [baz, rival] : [rival, baz];
      void first.elector.stepDown({ cooldown: 500 });
      await world.time.advanceUntil(() => second.leads, 100);
      await world.time.advance(1_000);
    }
    let writes = 0;
    bing.lock.fate = ({ verb }) =>
      verb !== 'get' && writes++ === 0 ? error('LEADER_SERVER_ERROR', true) : 'answer';
    const [last, other] = baz.leads ? [baz, rival] : [rival, baz];
    other.stop();
    await world.time.advance(10);
    expect(await handOver(world, last, bing)).toBeLessThan(A_MOMENT_MS);
  });

  it.each<[string, LeaseRequestError]>([
    ['a missing permission', error('LEADER_FORBIDDEN', false)],
    ['an invalid request', error('LEADER_REQUEST_INVALID', false)],
    ['refused credentials', error('LEADER_UNAUTHORIZED', false)],
    ['throttled for a second', error('LEADER_THROTTLED', false, 1_000)],
    ['unavailable for a second', error('LEADER_SERVER_ERROR', true, 1_000)],
  ])('permanently, %s: it is not repeated at once', async (_, failure) => {
    const { world, baz, bing } = await leaderAndFollower();
    let writes = 0;
    bing.lock.fate = ({ verb }) => (verb !== 'get' && writes++ === 0 ? failure : 'answer');
    baz.stop();
    await world.time.advance(990);
    expect([bing.leads, writes]).toEqual([false, 1]);
  });
});

describe('no sequence of failures causes a loop', () => {
  /** The requests of 20 s, with a retryPeriod of 2 s. */
  const requestsOf = async (
    script: (world: World, bing: Candidate) => void,
  ): Promise<{ reads: number; writes: number; opened: number }> => {
    const { world, baz, bing } = await leaderAndFollower();
    const counts = { reads: 0, writes: 0, opened: 0 };
    script(world, bing);
    const { fate } = bing.lock;
    const { watch } = bing.lock;
    bing.lock.fate = (request) => {
      counts[request.verb === 'get' ? 'reads' : 'writes'] += 1;
      return fate(request);
    };
    bing.lock.watch = (onEvent, signal) => {
      counts.opened += 1;
      return watch(onEvent, signal);
    };
    baz.lock.fate = () => 'lose';
    await world.time.advance(1);
    if (world.lease.stored !== undefined)
      world.lease.edit({
        ...world.lease.stored.record,
        holderIdentity: '',
        leaseDurationSeconds: 1,
        renewTime: world.lease.stored.record.acquireTime,
      });
    bing.lock.endWatch();
    await world.time.advance(20_000);
    return counts;
  };

  it.each<[string, (world: World, bing: Candidate) => void]>([
    [
      'every write fails',
      (_, bing) => {
        bing.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : error('LEADER_SERVER_ERROR', true));
      },
    ],
    [
      'everything fails',
      (_, bing) => {
        bing.lock.fate = () => error('LEADER_SERVER_ERROR', true);
      },
    ],
    [
      'every write fails, and the Lease is relabelled each time',
      (world, bing) => {
        bing.lock.fate = ({ verb }) => {
          if (verb === 'get') return 'answer';
          world.lease.relabel();
          return error('LEADER_SERVER_ERROR', true);
        };
      },
    ],
    [
      'every watch ends as soon as it has opened',
      (world, bing) => {
        const { watch } = bing.lock;
        bing.lock.watch = (onEvent, signal) =>
          watch((event) => {
            onEvent(event);
            bing.lock.endWatch();
          }, signal);
        bing.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : 'lose');
      },
    ],
    [
      'every watch shows a few changes and ends',
      (world, bing) => {
        const { watch } = bing.lock;
        let told = 0;
        bing.lock.watch = (onEvent, signal) =>
          watch((event) => {
            onEvent(event);
            if (told++ % 5 < 4) world.lease.relabel();
            else bing.lock.endWatch();
          }, signal);
        bing.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : 'lose');
      },
    ],
  ])('%s', async (_, script) => {
    const { reads, writes, opened } = await requestsOf(script);
    expect(writes).toBeLessThanOrEqual(13);
    expect(reads).toBeLessThanOrEqual(26);
    expect(opened).toBeLessThanOrEqual(22);
  });
});
