/** A fault in the surroundings that is no failed request is reported by its cause: whoever reads the log need not guess. */
import { describe, expect, it } from 'vitest';
import { LeaseRequestError, type ElectorState, type MicroTime } from '../../lib/election/index.js';
import { World, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

const MINUTE_MS = 60_000;

function errorsOf({ story }: Candidate): string[] {
  return story.filter((line) => line.startsWith('error'));
}

function messageOf({ events }: Candidate): string {
  const last = events.findLast((event) => event.type === 'error');
  return last?.type === 'error' ? last.error.message : '';
}

function codesIn(state: ElectorState): string[] {
  return 'problems' in state ? (state.problems ?? []).map(({ code }) => code) : [];
}

const renewedAt = (second: number): { renewTime: MicroTime } => ({
  renewTime: `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000Z` as MicroTime,
});

describe('a term that runs out', () => {
  it('because the process did not run says so, and for how long', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(4_000);
    world.time.jump(20_000);
    await world.time.advance(30_000);
    expect(baz.story.slice(2, 4)).toEqual(['error LEADER_PROCESS_PAUSED', 'stopped deadline']);
    expect(messageOf(baz)).toMatch(/did not run for 1[4-9](\.\d)? s, so its term on 'simulated' ran out/);
    expect(codesIn(baz.state)).toEqual([]);
  });

  it('because the wall clock was set ahead says so, and how far', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(4_000);
    baz.clock.stepWall(3_600_000);
    await world.time.advance(5_000);
    expect(baz.story.slice(2, 4)).toEqual(['error LEADER_CLOCK_JUMPED', 'stopped deadline']);
    expect(messageOf(baz)).toMatch(/ahead of the monotonic clock by 3600 s/);
    expect(baz.leads).toBe(true);
  });

  it('because the machine was suspended says so', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(4_000);
    baz.clock.suspend();
    await world.time.advance(30_000);
    baz.clock.resume();
    await world.time.advance(5_000);
    expect(baz.story.slice(2, 4)).toEqual(['error LEADER_CLOCK_JUMPED', 'stopped deadline']);
    expect(messageOf(baz)).toMatch(/by 30(\.\d)? s .* this machine was suspended/);
  });

  it.each([-3_600_000, 1_500])('does not, when the wall clock is set by %d ms', async (byMs) => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(4_000);
    baz.clock.stepWall(byMs);
    await world.time.advance(MINUTE_MS);
    expect(baz.story).toEqual(['started 1', 'leader baz']);
  });

  it.each(['lose', 'refuse'] as const)('because renewals fail has only their errors (%s)', async (how) => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(4_000);
    const refused = new LeaseRequestError('LEADER_UNAUTHORIZED', 'planted', { maybeCommitted: false });
    baz.lock.fate = () => (how === 'lose' ? 'lose' : refused);
    await world.time.advance(30_000);
    expect(baz.story).toContain('stopped deadline');
    const code = how === 'lose' ? 'LEADER_REQUEST_TIMEOUT' : 'LEADER_UNAUTHORIZED';
    expect(new Set(errorsOf(baz))).toEqual(new Set([`error ${code}`]));
  });

  it('is not blamed on a pause that was too short to matter', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(4_000);
    world.time.jump(5_000);
    await world.time.advance(MINUTE_MS);
    expect(baz.story).toEqual(['started 1', 'leader baz']);
  });
});

describe('a holder with another leaseDuration', () => {
  it('is reported once, and shown as long as it holds the lease', async () => {
    const world = new World();
    world.lease.edit(recordOf('other', { leaseDurationSeconds: 30, ...renewedAt(1) }));
    const baz = world.start('baz');
    await world.time.advance(1_000);
    world.lease.edit(recordOf('other', { leaseDurationSeconds: 30, ...renewedAt(2) }));
    await world.time.advance(10_000);
    expect(errorsOf(baz)).toEqual(['error LEADER_DURATIONS_DIFFER']);
    expect(messageOf(baz)).toMatch(/'other' holds .* of 30 s, .* leaseDuration is 15 s.*another application/);
    expect(codesIn(baz.state)).toEqual(['LEADER_DURATIONS_DIFFER']);
    await world.time.advanceUntil(() => baz.leads, MINUTE_MS);
    expect(codesIn(baz.state)).toEqual([]);
    const shown = baz.events.findLast((event) => event.type === 'stateChanged');
    expect(shown?.type === 'stateChanged' && codesIn(shown.state)).toEqual([]);
  });

  it('is reported again with another name or duration', async () => {
    const world = new World();
    world.lease.edit(recordOf('other', { leaseDurationSeconds: 30 }));
    const baz = world.start('baz');
    await world.time.advance(1_000);
    world.lease.edit(recordOf('third', { leaseDurationSeconds: 30 }));
    await world.time.advance(1_000);
    world.lease.edit(recordOf('third', { leaseDurationSeconds: 20 }));
    await world.time.advance(1_000);
    expect(errorsOf(baz)).toHaveLength(3);
    world.lease.edit(recordOf('third', { leaseDurationSeconds: 15 }));
    await world.time.advance(1_000);
    expect(codesIn(baz.state)).toEqual([]);
  });

  it.each([
    ['our duration', recordOf('other')],
    ['no holder', recordOf('', { leaseDurationSeconds: 1 })],
    ['one second, as at an exit', recordOf('other', { leaseDurationSeconds: 1 })],
    ['no duration', recordOf('other', { leaseDurationSeconds: undefined })],
    [
      'a holder that a controller entered',
      recordOf('other', { leaseDurationSeconds: 5, acquireTime: undefined }),
    ],
  ])('is not a record with %s', async (_, record) => {
    const world = new World();
    world.lease.edit(record);
    const baz = world.start('baz');
    await world.time.advance(500);
    expect(errorsOf(baz)).toEqual([]);
  });
});

describe('another process with our identity', () => {
  it('is reported once it renews the lease, not for the first record that is seen', async () => {
    const world = new World();
    world.lease.edit(recordOf('baz', renewedAt(1)));
    const baz = world.start('baz');
    await world.time.advance(5_000);
    expect(errorsOf(baz)).toEqual([]);
    for (const second of [2, 3, 4]) {
      world.lease.edit(recordOf('baz', renewedAt(second)));
      await world.time.advance(3_000);
    }
    expect(errorsOf(baz)).toEqual(['error LEADER_NAMESAKE']);
    expect(codesIn(baz.state)).toEqual(['LEADER_NAMESAKE']);
    expect(messageOf(baz)).toMatch(/Another process with the identity 'baz' .* option identity out/);
    await world.time.advanceUntil(() => baz.leads, MINUTE_MS);
    expect(codesIn(baz.state)).toEqual([]);
  });

  it('is reported by the follower, when two candidates have one name', async () => {
    const world = new World();
    const [first, second] = [world.start('baz'), world.start('baz')];
    await world.time.advance(MINUTE_MS);
    expect([first, second].map(({ leads }) => leads).sort()).toEqual([false, true]);
    const follower = first.leads ? second : first;
    expect(errorsOf(follower)).toEqual(['error LEADER_NAMESAKE']);
  });

  it('is reported when both reclaim the lease from each other', async () => {
    const world = new World();
    const both = [1, 2].map(() => world.start('baz', { reclaimOwnLease: true }));
    await world.time.advance(MINUTE_MS);
    expect(both.flatMap(errorsOf)).toContain('error LEADER_NAMESAKE');
  });

  it('is not an earlier life of this process', async () => {
    const world = new World();
    world.lease.edit(recordOf('baz', renewedAt(1)));
    const baz = world.start('baz');
    await world.time.advance(10 * MINUTE_MS);
    expect(baz.leads).toBe(true);
    expect(errorsOf(baz)).toEqual([]);
  });

  it('is not a record of ours that the server stored with other values', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const update = baz.lock.update.bind(baz.lock);
    const create = baz.lock.create.bind(baz.lock);
    const cut = (time: MicroTime | undefined): MicroTime =>
      String(time).replace(/\.\d{6}Z/, '.000000Z') as MicroTime;
    baz.lock.create = (record, call) => create({ ...record, renewTime: cut(record.renewTime) }, call);
    baz.lock.update = (base, record, call) =>
      update(base, { ...record, renewTime: cut(record.renewTime) }, call);
    baz.start();
    await world.time.advance(3 * MINUTE_MS);
    expect(new Set(errorsOf(baz))).toEqual(new Set(['error LEADER_WRITE_NOT_KEPT']));
  });
});

describe('watches that are cut again and again', () => {
  it.each([
    ['soon after they opened', 100, undefined],
    ['with an error', 100, new LeaseRequestError('LEADER_UNREACHABLE', 'planted', { maybeCommitted: false })],
  ])('%s are reported once, until one lasts', async (_, afterMs, error) => {
    const world = new World();
    world.start('leader');
    await world.time.advance(1_000);
    const baz = world.prepare('baz');
    const watch = baz.lock.watch.bind(baz.lock);
    let isCutting = true;
    baz.lock.watch = (onEvent, signal) => {
      if (!isCutting) return watch(onEvent, signal);
      onEvent({ kind: 'opened' });
      return new Promise((resolve, reject) => {
        world.time.schedule(afterMs, () => {
          if (error === undefined) resolve();
          else reject(error);
        });
      });
    };
    baz.start();
    await world.time.advance(5 * MINUTE_MS);
    expect(errorsOf(baz).filter((line) => line === 'error LEADER_WATCH_BROKEN')).toHaveLength(1);
    expect(codesIn(baz.state)).toEqual(['LEADER_WATCH_BROKEN']);
    isCutting = false;
    await world.time.advance(MINUTE_MS);
    expect(codesIn(baz.state)).toEqual([]);
  });

  it('hide no refusal, and are reported again after it', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const denied = new LeaseRequestError('LEADER_FORBIDDEN', 'planted', { maybeCommitted: false });
    let isDenied = false;
    baz.lock.watch = (onEvent) => {
      if (isDenied) return Promise.reject(denied);
      onEvent({ kind: 'opened' });
      return new Promise((resolve) => {
        world.time.schedule(100, resolve);
      });
    };
    baz.start();
    await world.time.advance(MINUTE_MS);
    expect(codesIn(baz.state)).toEqual(['LEADER_WATCH_BROKEN']);
    isDenied = true;
    await world.time.advance(10_000);
    expect(codesIn(baz.state)).toEqual(['LEADER_WATCH_DENIED']);
    isDenied = false;
    await world.time.advance(2 * MINUTE_MS);
    expect(codesIn(baz.state)).toEqual(['LEADER_WATCH_BROKEN']);
  });

  it('that never open are reported, too', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    baz.lock.watchStalled = true;
    baz.start();
    await world.time.advance(MINUTE_MS);
    expect(codesIn(baz.state)).toEqual(['LEADER_WATCH_BROKEN']);
  });

  it('are not reported while the server is down, which has an error of its own, nor when it is back', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    world.lease.goDown();
    await world.time.advance(MINUTE_MS);
    world.lease.comeUp();
    await world.time.advance(MINUTE_MS);
    expect(errorsOf(baz)).not.toContain('error LEADER_WATCH_BROKEN');
    expect(codesIn(baz.state)).toEqual([]);
  });
});
