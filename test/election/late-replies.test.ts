/** Outdated replies and events, and events of another Lease, are ignored (rules 5 and 6). */
import { describe, expect, it } from 'vitest';
import {
  LeaseClaim,
  LeaseRequestError,
  resolveElectionOptions,
  type LeaseSnapshot,
  type MonotonicMs,
  type WallMs,
} from '../../lib/election/index.js';
import type { Instant } from '../../lib/election/clock.js';
import { holderIn } from '../../lib/election/observation.js';
import { attemptSent, noSight, ours, seeDeletion, seeEvent, seeReply } from '../../lib/election/sight.js';
import { World, fedByHand, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

const RULES = { identity: 'baz', leaseDuration: 15_000, renewDeadline: 10_000 };

async function leaderAndFollower(): Promise<{ world: World; baz: Candidate; bing: Candidate }> {
  const world = new World();
  const baz = world.start('baz');
  await world.time.advance(100);
  const bing = world.start('bing');
  await world.time.advance(900);
  return { world, baz, bing };
}

describe('the reply to a release that comes after the next leader was seen', () => {
  it.each([100, 900, 1_900])('is ignored when it is %d ms late', async (replyDelayMs) => {
    const { world, baz, bing } = await leaderAndFollower();
    baz.lock.fate = ({ verb }) => (verb === 'update' ? { replyDelayMs } : 'answer');
    baz.story.length = 0;
    void baz.elector.stepDown({ cooldown: 60_000 });
    await world.time.advanceUntil(() => bing.leads, 50);
    await world.time.advance(10);
    for (let ms = 0; ms < 5_000; ms += 50) {
      await world.time.advance(50);
      expect(baz.state, `after ${String(ms)} ms`).not.toMatchObject({ kind: 'following', leader: '' });
    }
    expect(baz.story).toEqual(['stopped steppedDown', 'leader bing']);
  });

  it('is ignored by a single claim, too', async () => {
    const world = new World();
    const lock = world.lease.lock('baz');
    const options = resolveElectionOptions(
      { leaseName: 'simulated' },
      { leaseNamespace: 'default', identity: 'baz' },
    );
    const claim = new LeaseClaim({ lock, options, clock: world.time.clock() });
    const held = claim.tryAcquireOrRenew();
    await world.time.advance(10);
    await expect(held).resolves.toMatchObject({ kind: 'held' });
    lock.fate = ({ verb }) => (verb === 'update' ? { lost: 'reply' } : 'answer');
    const released = claim.release();
    await world.time.advance(100);
    world.lease.edit(recordOf('bing'));
    await world.time.advance(5_000);
    await expect(released).resolves.toMatchObject({ kind: 'notHeld', leader: 'bing' });
  });
});

describe('a release in doubt', () => {
  it('does not wait for a renewal that hangs', async () => {
    const { world, baz, bing } = await leaderAndFollower();
    // One renewal fails and may have been committed, the read after it fails, too, and the next renewal hangs.
    baz.lock.watchStalled = true;
    const failed = new LeaseRequestError('LEADER_SERVER_ERROR', 'planted', { maybeCommitted: true });
    let hangs = 0;
    baz.lock.fate = ({ verb }) => {
      if (verb === 'update') hangs += 1;
      return verb === 'update' && hangs === 1 ? 'lose' : failed;
    };
    await world.time.advanceUntil(() => hangs === 2, 8_000);
    await world.time.advance(5);
    baz.lock.fate = () => 'answer';
    baz.stop();
    await world.time.advance(300);
    expect(bing.leads).toBe(true);
  });
});

describe('a touch that was not seen', () => {
  it('does not prevent a release', async () => {
    const { world, baz, bing } = await leaderAndFollower();
    baz.lock.watchStalled = true;
    const { record } = world.lease.stored as LeaseSnapshot;
    world.lease.edit({ ...record, renewTime: undefined });
    baz.stop();
    await world.time.advance(50);
    expect(bing.leads).toBe(true);
  });
});

describe('a watch event of another Lease', () => {
  const foreign: LeaseSnapshot = {
    record: recordOf('stranger', { leaseDurationSeconds: 3_600 }),
    resourceVersion: '1000',
    uid: 'another',
  };

  it('costs a leader one read, and its next renewal is not based on it', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const tell = fedByHand(baz);
    baz.start();
    await world.time.advance(1_000);
    world.lease.requests.length = 0;
    tell({ kind: 'seen', snapshot: foreign });
    await world.time.advance(10);
    expect(world.lease.requests.map(({ verb }) => verb)).toEqual(['get']);
    await world.time.advance(60_000);
    expect(baz.story).toEqual(['started 1', 'leader baz']);
  });

  it('is ignored by a follower, too', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing'));
    const baz = world.prepare('baz');
    const tell = fedByHand(baz);
    baz.start();
    await world.time.advance(1_000);
    tell({ kind: 'seen', snapshot: foreign });
    await world.time.advance(10);
    expect(baz.state).toMatchObject({ leader: 'bing' });
    await world.time.advanceUntil(() => baz.leads, 15_000);
  });

  it('counts if it is this Lease, re-created: a read confirms it', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const tell = fedByHand(baz);
    baz.start();
    await world.time.advance(1_000);
    world.lease.delete();
    world.lease.edit(recordOf('bing'));
    tell({ kind: 'seen', snapshot: world.lease.stored as LeaseSnapshot });
    await world.time.advance(10);
    expect(baz.story).toContain('stopped superseded');
  });
});

describe('a write that is refused as invalid', () => {
  it.each(['leader', 'follower'])('is followed by a read: %s', async (role) => {
    const world = new World();
    if (role === 'follower') world.lease.edit(recordOf('gone', { leaseDurationSeconds: 1 }));
    const baz = world.start('baz');
    if (role === 'leader') await world.time.advance(1_000);
    let refusals = 0;
    const invalid = new LeaseRequestError('LEADER_REQUEST_INVALID', 'planted', { maybeCommitted: false });
    baz.lock.fate = ({ verb }) => (verb === 'update' && refusals++ === 0 ? invalid : 'answer');
    await world.time.advanceUntil(() => refusals === 1, 5_000);
    await world.time.advance(10);
    expect(world.lease.requests.slice(-2).map(({ verb }) => verb)).toEqual(['update', 'get']);
    await world.time.advance(5_000);
    expect(baz.leads).toBe(true);
  });
});

describe('a reply that comes after a newer event is ignored, even if the clock has stood still since the request', () => {
  // After a suspension, everything that came in meanwhile is handled at one instant of the monotonic clock.
  const then = 1_000 as MonotonicMs;
  const instant = { now: then, date: 0 as WallMs };
  const lease = (resourceVersion: string, holder: string): LeaseSnapshot => ({
    record: recordOf(holder),
    uid: 'uid',
    resourceVersion,
  });

  it('an older record', () => {
    const { sight } = seeEvent(noSight(RULES), lease('19', 'bing'), instant);
    const seen = seeReply(sight, lease('18', 'stranger'), then, instant);
    expect(seen.news).toBeUndefined();
    expect(holderIn(seen.sight.observation)).toBe('bing');
  });

  it('that there is no Lease yet: a read tells', () => {
    const { sight } = seeEvent(noSight(RULES), lease('19', 'bing'), instant);
    const seen = seeReply(sight, undefined, then, instant);
    expect(seen.news).toBeUndefined();
    expect(seen.sight).toMatchObject({ doubtful: true, observation: sight.observation });
    // Also at the same instant, so that nothing is read again and again.
    const { sight: after } = seeReply(seen.sight, undefined, then, instant);
    expect(after).toMatchObject({ doubtful: false, observation: { kind: 'absent' } });
  });

  it('a Lease that is deleted by now: a read tells', () => {
    let { sight } = seeEvent(noSight(RULES), lease('18', 'bing'), instant);
    ({ sight } = seeDeletion(sight, '19', instant));
    const seen = seeReply(sight, lease('18', 'bing'), then, instant);
    expect(seen.news).toBeUndefined();
    expect(seen.sight).toMatchObject({ doubtful: true, observation: sight.observation });
  });

  it('but not the Lease that was created at that instant', () => {
    let { sight } = seeEvent(noSight(RULES), lease('18', 'bing'), instant);
    ({ sight } = seeDeletion(sight, '19', instant));
    const { sight: after } = seeReply(sight, lease('20', 'bing'), then, {
      ...instant,
      now: 1_001 as MonotonicMs,
    });
    expect(after).toMatchObject({ doubtful: false, observation: { kind: 'present' } });
  });
});

it('a late deletion event does not affect a newer Lease that was already shown', () => {
  const at = (ms: number): Instant => ({ now: ms as MonotonicMs, date: ms as WallMs });
  const lease = (uid: string, resourceVersion: string, holder: string): LeaseSnapshot => ({
    record: recordOf(holder),
    uid,
    resourceVersion,
  });
  let { sight } = seeReply(noSight(RULES), lease('one', '51', 'bing'), at(0).now, at(1));
  ({ sight } = seeEvent(sight, lease('another', '54', 'other'), at(100)));
  ({ sight } = seeDeletion(sight, '52', at(101)));
  expect(sight.doubtful).toBe(true);
  // The read that follows finds none. The holder of the newer Lease may have renewed it until then.
  ({ sight } = seeReply(sight, undefined, at(5_000).now, at(5_002)));
  expect(sight.observation).toMatchObject({ kind: 'absent', heldUntil: 20_002 });
});

describe('versions that go back, as on a server that has lost its data', () => {
  const at = (now: number): Instant => ({ now: now as MonotonicMs, date: now as WallMs });
  const seen = (version: string, record: LeaseSnapshot['record']): LeaseSnapshot => ({
    record,
    resourceVersion: version,
    uid: `uid-${version}`,
  });

  it('prove no write of ours: others may have acted on what was lost', () => {
    const record = recordOf('baz');
    let { sight } = seeReply(noSight(RULES), seen('3', recordOf('bing')), at(0).now, at(10));
    ({ sight } = seeReply(sight, undefined, at(20).now, at(30)));
    const { now: sentAt, date: sentOn } = at(100);
    sight = attemptSent(sight, { record, base: undefined, term: undefined, sentAt, sentOn });
    for (const askedAt of [110, 200, 300]) {
      const { sight: next, news } = seeReply(sight, seen('2', record), at(askedAt).now, at(askedAt + 10));
      sight = next;
      expect(news?.proved).toBeUndefined();
      expect(ours(sight)).toBeUndefined();
    }
  });
});
