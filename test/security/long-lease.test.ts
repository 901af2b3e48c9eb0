/** A lease that blocks the election for years is reported, with a remedy, in state, event and message. */
import { expect, it } from 'vitest';
import type { LeaseRecord } from '../../lib/election/index.js';
import { World } from '../election/candidate.js';

const MOST = 2 ** 31 - 1;

function heldBy(holderIdentity: string, leaseDurationSeconds: number, at = '01'): LeaseRecord {
  const time = `2026-01-01T00:00:${at}.000000Z` as LeaseRecord['renewTime'];
  return { holderIdentity, leaseDurationSeconds, acquireTime: time, renewTime: time, leaseTransitions: 1 };
}

it('a holder that died with a duration of 68 years is reported, even when its Lease is deleted', async () => {
  const world = new World();
  world.lease.edit(heldBy('forger', MOST));
  const me = world.start('me');
  await world.time.advance(100);
  const longLease = {
    code: 'LEADER_LONG_LEASE',
    message: expect.stringMatching(/'forger' holds .*2147483647 s.*15 s/),
  };
  expect(me.state).toMatchObject({ kind: 'following', leader: 'forger', error: longLease });
  world.lease.delete();
  await world.time.advance(3_600_000);
  expect(me.state).toMatchObject({ kind: 'following', leader: '', error: { code: 'LEADER_LONG_LEASE' } });
  expect(me.story.filter((line) => line.startsWith('error'))).toEqual(['error LEADER_LONG_LEASE']);
  const [told] = me.events.filter(({ type }) => type === 'error');
  expect(told).toMatchObject({ error: { message: expect.stringContaining('restart every replica') } });
  // The remedy helps: a process that has just started finds no Lease.
  const fresh = world.start('fresh');
  await world.time.advance(100);
  expect(fresh.leads).toBe(true);
  expect(fresh.state).toMatchObject({ error: undefined });
});

it('the problem ends when the holder releases the lease, and is reported again the next time', async () => {
  const world = new World();
  world.lease.edit(heldBy('forger', MOST));
  const me = world.start('me');
  await world.time.advance(100);
  world.lease.edit({ ...heldBy('', 1, '02') });
  await world.time.advance(1_000);
  expect(me.leads).toBe(true);
  expect(me.state).toMatchObject({ error: undefined });
  world.lease.edit(heldBy('forger', MOST, '03'));
  await world.time.advance(1_000);
  expect(me.state).toMatchObject({ kind: 'following', error: { code: 'LEADER_LONG_LEASE' } });
  expect(me.story.filter((line) => line.startsWith('error'))).toHaveLength(2);
});

it.each([
  [15, 'as its own', false],
  [150, 'ten times its own', false],
  [151, 'more', true],
  [3_600, 'an hour', true],
])('a duration of %i s (%s) is reported: %s', async (seconds, _name, expected) => {
  const world = new World();
  world.lease.edit(heldBy('other', seconds));
  const me = world.start('me');
  await world.time.advance(100);
  const { error } = me.state as { error?: { code: string } };
  expect(error?.code === 'LEADER_LONG_LEASE').toBe(expected);
});

it('the problem is still shown after a problem of the API server', async () => {
  const world = new World();
  world.lease.edit(heldBy('forger', MOST));
  const me = world.start('me');
  await world.time.advance(100);
  world.lease.goDown();
  await world.time.advance(60_000);
  world.lease.comeUp();
  await world.time.advance(60_000);
  expect(me.state).toMatchObject({ error: { code: 'LEADER_LONG_LEASE' } });
});
