/** Failures of the API server that could cause too many requests, too few, or no error (G6, G7). */
import { describe, expect, it } from 'vitest';
import { LeaseRequestError, type LeaderErrorCode } from '../../lib/election/index.js';
import { World, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

const error = (code: LeaderErrorCode, maybeCommitted: boolean, retryAfterMs?: number): LeaseRequestError =>
  new LeaseRequestError(code, 'planted', { maybeCommitted, retryAfterMs });

async function leaderAndFollower(): Promise<{ world: World; leader: Candidate; follower: Candidate }> {
  const world = new World();
  const leader = world.start('baz');
  await world.time.advance(100);
  const follower = world.start('bing');
  await world.time.advance(900);
  return { world, leader, follower };
}

describe('a server that reads but does not write', () => {
  it.each<[string, LeaseRequestError]>([
    ['answers 5xx', error('LEADER_SERVER_ERROR', true)],
    ['refuses', error('LEADER_REQUEST_INVALID', false)],
  ])('%s: a follower tries once per retryPeriod', async (_, failure) => {
    const world = new World();
    const baz = world.prepare('baz');
    baz.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : failure);
    baz.start();
    await world.time.advance(20_000);
    expect(world.lease.requests.length).toBeLessThan(25);
    baz.lock.fate = () => 'answer';
    await world.time.advanceUntil(() => baz.leads, 3_000);
  });

  it('conflicts although there is no Lease: a create is not repeated in a loop', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    baz.lock.fate = ({ verb }) => (verb === 'create' ? { conflict: true } : 'answer');
    baz.start();
    await world.time.advance(20_000);
    expect(world.lease.requests.length).toBeLessThan(30);
  });

  it('for a moment: afterwards the leader recognises its own record', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(3_000);
    let first = Number.POSITIVE_INFINITY;
    baz.lock.fate = ({ verb }) => {
      if (verb === 'get') return 'answer';
      first = Math.min(first, world.time.now);
      return world.time.now < first + 150 ? error('LEADER_SERVER_ERROR', true) : 'answer';
    };
    await world.time.advance(10_000);
    expect(baz.story.filter((line) => line.startsWith('st'))).toEqual(['started 1']);
  });
});

describe('Retry-After', () => {
  it('makes a follower wait for renewDeadline at most', async () => {
    const world = new World();
    world.lease.edit(recordOf('dead'));
    const baz = world.prepare('baz');
    let writes = 0;
    baz.lock.fate = ({ verb }) =>
      verb === 'update' && writes++ === 0 ? error('LEADER_THROTTLED', false, 3_600_000) : 'answer';
    baz.start();
    await world.time.advanceUntil(() => baz.leads, 26_000);
  });

  it('is respected although a sighting comes meanwhile', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(3_000);
    let sent = 0;
    baz.lock.fate = () => (sent++ === 0 ? error('LEADER_THROTTLED', false, 3_000) : 'answer');
    await world.time.advanceUntil(() => sent === 1, 2_000);
    await world.time.advance(10);
    world.lease.relabel();
    await world.time.advance(2_900);
    expect(sent).toBe(1);
    await world.time.advance(200);
    expect(sent).toBe(2);
  });
});

describe('Retry-After in the reply to a newer request', () => {
  it('is respected although an older request is answered late', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(3_000);
    let sent = 0;
    baz.lock.fate = () => {
      sent += 1;
      if (sent === 1) return { delayMs: 0, replyDelayMs: 2_100 };
      return sent === 2 ? error('LEADER_THROTTLED', false, 2_500) : 'answer';
    };
    baz.lock.watchStalled = true;
    await world.time.advanceUntil(() => sent === 2, 4_000);
    await world.time.advance(2_000);
    expect(sent).toBe(2);
  });
});

describe('a release', () => {
  it('that is refused for a moment succeeds nevertheless', async () => {
    const { world, leader, follower } = await leaderAndFollower();
    const until = world.time.now + 200;
    leader.lock.fate = ({ verb }) =>
      verb !== 'get' && world.time.now < until ? error('LEADER_THROTTLED', false, 1_000) : 'answer';
    const before = world.lease.requests.length;
    leader.stop();
    await world.time.advanceUntil(() => follower.leads, 1_500);
    expect(world.lease.requests.length - before).toBeLessThan(8);
  });

  it('on a connection that hangs takes a retryPeriod longer', async () => {
    const { world, leader, follower } = await leaderAndFollower();
    let requests = 0;
    leader.lock.fate = () => (requests++ === 0 ? 'lose' : 'answer');
    leader.stop();
    await world.time.advanceUntil(() => follower.leads, 2_100);
  });

  it.each([
    ['refused', error('LEADER_FORBIDDEN', false)],
    ['failing', error('LEADER_SERVER_ERROR', true)],
  ])('that keeps failing (%s) is reported after a few attempts', async (_, failure) => {
    const { world, leader } = await leaderAndFollower();
    leader.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : failure);
    const before = world.lease.requests.length;
    leader.stop();
    await world.time.advance(11_000);
    expect(world.lease.requests.length - before).toBeLessThan(50);
    expect(leader.story).toContain('error LEADER_RELEASE_FAILED');
    expect(leader.ended).toBe(true);
  });

  it('whose reply was lost leaves a Lease without a holder', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    baz.lock.watchStalled = true;
    let requests = 0;
    baz.lock.fate = () => (requests++ === 0 ? 'loseReply' : 'answer');
    void baz.elector.stepDown({ cooldown: 60_000 });
    await world.time.advance(20_000);
    expect(baz.state).toMatchObject({ kind: 'following', leader: '' });
  });
});

describe('a watch', () => {
  it('that ends as soon as it opens is reopened once per retryPeriod', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    let opened = 0;
    baz.lock.watch = async (onEvent) => {
      opened += 1;
      await new Promise<void>((resolve) => {
        world.time.schedule(2, resolve);
      });
      onEvent({ kind: 'opened' });
    };
    baz.start();
    await world.time.advance(20_000);
    expect(opened).toBeLessThan(12);
  });

  it('that is denied again after it was open is reported again', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const { watch } = baz.lock;
    let isDenied = true;
    baz.lock.watch = (onEvent, signal) =>
      isDenied ? Promise.reject(error('LEADER_FORBIDDEN', false)) : watch(onEvent, signal);
    baz.start();
    await world.time.advance(10_000);
    isDenied = false;
    await world.time.advance(200_000);
    isDenied = true;
    baz.lock.endWatch();
    await world.time.advance(10_000);
    expect(baz.story.filter((line) => line === 'error LEADER_WATCH_DENIED')).toHaveLength(2);
  });

  it('that fails with an unknown error is reported, too', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    baz.lock.watch = () => Promise.reject(new TypeError('planted'));
    baz.start();
    await world.time.advance(100);
    expect(baz.story).toContain('error LEADER_UNREACHABLE');
  });
});

describe('a write that was committed and then refused, as when a proxy sends it twice', () => {
  const refusedOnce = (candidate: Candidate, verb: 'create' | 'update'): void => {
    let done = false;
    candidate.lock.fate = (request) => {
      if (done || request.verb !== verb) return 'answer';
      done = true;
      return { conflict: true, carriedOut: true };
    };
  };

  it('begins the term when a read has shown it', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    refusedOnce(baz, 'create');
    baz.start();
    await world.time.advance(100);
    expect(baz.leads).toBe(true);
    expect(world.lease.requests.map(({ verb }) => verb)).toEqual(['get', 'create', 'get']);
  });

  it('extends the term, and is not sent again', async () => {
    const world = new World();
    const baz = world.start('baz');
    baz.clock.random = () => 0;
    await world.time.advance(100);
    refusedOnce(baz, 'update');
    world.lease.requests.length = 0;
    await world.time.advance(5_000);
    const writes = world.lease.requests.filter(({ verb }) => verb === 'update');
    expect(writes).toHaveLength(1);
  });
});
