/** A problem is shown in the state, and reported to observers, as long as it exists and no longer (G7). */
import { describe, expect, it } from 'vitest';
import {
  LeaseRequestError,
  type ElectorState,
  type LeaderErrorCode,
  type LeaseSnapshot,
} from '../../lib/election/index.js';
import { World, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

const failure = (code: LeaderErrorCode, maybeCommitted = true): LeaseRequestError =>
  new LeaseRequestError(code, 'planted', { maybeCommitted });
const FULL = failure('LEADER_SERVER_ERROR');
const DENIED = failure('LEADER_FORBIDDEN', false);

const codesIn = (state: ElectorState): LeaderErrorCode[] =>
  'problems' in state ? (state.problems ?? []).map(({ code }) => code) : [];
/** The problems that the state shows, sampled every 10 ms. */
async function looks(world: World, { elector }: Candidate, times: number): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let look = 0; look < times; look++) {
    await world.time.advance(10);
    const { state } = elector;
    seen.add('error' in state ? String(state.error?.code) : state.kind);
  }
  return seen;
}
/** Expects that the last state reported to observers has the same problems as the present state. */
function tellsWhatItShows(candidate: Candidate): void {
  const last = candidate.events.findLast((event) => event.type === 'stateChanged');
  expect(last?.type === 'stateChanged' ? codesIn(last.state) : []).toEqual(codesIn(candidate.state));
}

describe('writes that fail while reads are answered', () => {
  it('are no longer shown by a process that does not want to lead', async () => {
    const world = new World();
    let stands = true;
    let changed: () => void = () => undefined;
    const baz = world.prepare('baz', {}, {}, () => ({
      get stands() {
        return stands;
      },
      objection: undefined,
      observe: (callback) => {
        changed = callback;
        return () => undefined;
      },
    }));
    baz.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : FULL);
    baz.start();
    await world.time.advance(5_000);
    expect(codesIn(baz.state)).toEqual(['LEADER_SERVER_ERROR']);
    stands = false;
    changed();
    // Requests in flight may still fail.
    await world.time.advance(10);
    expect(await looks(world, baz, 500)).toEqual(new Set(['undefined']));
    tellsWhatItShows(baz);
    stands = true;
    changed();
    await world.time.advance(3_000);
    expect(codesIn(baz.state)).toEqual(['LEADER_SERVER_ERROR']);
  });

  it('are no longer shown during a long cool-down', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    baz.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : FULL);
    await world.time.advance(5_000);
    expect(codesIn(baz.state)).toEqual(['LEADER_SERVER_ERROR']);
    void baz.elector.stepDown({ cooldown: 3_600_000 });
    await world.time.advance(30_000);
    expect(await looks(world, baz, 500)).toEqual(new Set(['undefined']));
    tellsWhatItShows(baz);
  });

  it('are shown by a leader all the time, until one succeeds', async () => {
    const world = new World();
    const baz = world.start('baz', { leaseDuration: 60_000, renewDeadline: 50_000, renewInterval: 1_000 });
    await world.time.advance(100);
    baz.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : FULL);
    await world.time.advance(2_000);
    expect(await looks(world, baz, 1_000)).toEqual(new Set(['LEADER_SERVER_ERROR']));
    tellsWhatItShows(baz);
    baz.lock.fate = () => 'answer';
    await world.time.advance(3_000);
    expect(baz.state).toMatchObject({ kind: 'leading', error: undefined, problems: [] });
    tellsWhatItShows(baz);
  });

  it('are shown all the time by a follower that wants to lead', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    baz.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : FULL);
    baz.start();
    await world.time.advance(100);
    expect(await looks(world, baz, 1_145)).toEqual(new Set(['LEADER_SERVER_ERROR']));
  });

  it.each(['of a holder that has expired', 'that is empty'])('… for a Lease %s, too', async (whose) => {
    const world = new World();
    world.lease.edit(recordOf(whose.includes('empty') ? '' : 'gone', { leaseDurationSeconds: 1 }));
    const baz = world.prepare('baz');
    baz.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : FULL);
    baz.start();
    await world.time.advance(1_100);
    expect(await looks(world, baz, 500)).toEqual(new Set(['LEADER_SERVER_ERROR']));
  });

  it('are no longer shown by a follower when another process holds the lease', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    baz.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : FULL);
    baz.start();
    await world.time.advance(100);
    const bing = world.start('bing');
    await world.time.advance(3_000);
    expect(bing.leads).toBe(true);
    expect(baz.state).toMatchObject({ kind: 'following', leader: 'bing', error: undefined });
    tellsWhatItShows(baz);
  });

  it('are shown before reads that fail, and before a watch that is denied', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    baz.lock.watch = () => Promise.reject(DENIED);
    baz.start();
    await world.time.advance(100);
    expect(codesIn(baz.state)).toEqual(['LEADER_WATCH_DENIED']);
    baz.lock.fate = ({ verb }) => (verb === 'get' ? DENIED : FULL);
    await world.time.advance(6_000);
    expect(codesIn(baz.state)).toEqual(['LEADER_SERVER_ERROR', 'LEADER_FORBIDDEN', 'LEADER_WATCH_DENIED']);
    expect(baz.state).toMatchObject({ error: { code: 'LEADER_SERVER_ERROR' } });
    tellsWhatItShows(baz);
  });
});

describe('a read that fails', () => {
  it('is over when a watch event has shown the lease', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing'));
    const baz = world.prepare('baz');
    baz.lock.fate = ({ verb }) => (verb === 'get' ? DENIED : 'answer');
    baz.lock.eventFate = () => ({ delayMs: 500 });
    baz.start();
    await world.time.advance(100);
    expect(codesIn(baz.state)).toEqual(['LEADER_FORBIDDEN']);
    await world.time.advance(1_000);
    expect(codesIn(baz.state)).toEqual([]);
  });

  it('is not over until a read is answered, while the lease must be polled', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing', { leaseDurationSeconds: 120 }));
    const baz = world.prepare('baz', { leaseDuration: 120_000 });
    baz.lock.watch = () => Promise.reject(DENIED);
    baz.start();
    await world.time.advance(100);
    baz.lock.fate = () => FULL;
    await world.time.advance(5_000);
    expect(codesIn(baz.state)).toEqual(['LEADER_SERVER_ERROR', 'LEADER_WATCH_DENIED']);
    baz.lock.fate = () => 'answer';
    await world.time.advance(5_000);
    expect(codesIn(baz.state)).toEqual(['LEADER_WATCH_DENIED']);
  });
});

describe('a watch that is denied', () => {
  it('is shown until a watch opens, whatever happens meanwhile', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const { watch } = baz.lock;
    baz.lock.watch = () => Promise.reject(DENIED);
    baz.start();
    await world.time.advance(100);
    expect(await looks(world, baz, 3_000)).toEqual(new Set(['LEADER_WATCH_DENIED']));
    expect(baz.state).toMatchObject({ kind: 'leading', watch: 'denied' });
    baz.lock.watch = watch;
    await world.time.advanceUntil(() => 'watch' in baz.state && baz.state.watch === 'open', 120_000);
    expect(baz.state).toMatchObject({ error: undefined });
    tellsWhatItShows(baz);
  });
});

describe('a release that failed', () => {
  async function failedRelease(cooldown = 3_600_000): Promise<{ world: World; baz: Candidate }> {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    baz.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : FULL);
    void baz.elector.stepDown({ cooldown });
    await world.time.advanceUntil(() => baz.story.includes('error LEADER_RELEASE_FAILED'), 12_000);
    baz.lock.fate = () => 'answer';
    return { world, baz };
  }

  it('is shown until the lease has expired', async () => {
    const { world, baz } = await failedRelease();
    await world.time.advance(1_000);
    expect(codesIn(baz.state)).toEqual(['LEADER_RELEASE_FAILED']);
    world.lease.relabel();
    await world.time.advance(100);
    expect(codesIn(baz.state)).toEqual(['LEADER_RELEASE_FAILED']);
    tellsWhatItShows(baz);
    await world.time.advance(15_000);
    expect(codesIn(baz.state)).toEqual([]);
    tellsWhatItShows(baz);
  });

  it.each<[string, (world: World) => void]>([
    [
      'another process holds the lease',
      (world) => {
        world.lease.edit(recordOf('bing'));
      },
    ],
    [
      'nobody holds it',
      (world) => {
        world.lease.edit({ ...(world.lease.stored as LeaseSnapshot).record, holderIdentity: '' });
      },
    ],
    [
      'it is deleted',
      (world) => {
        world.lease.delete();
      },
    ],
  ])('is over when %s', async (_, happens) => {
    const { world, baz } = await failedRelease();
    await world.time.advance(100);
    expect(codesIn(baz.state)).toEqual(['LEADER_RELEASE_FAILED']);
    happens(world);
    await world.time.advance(100);
    expect(codesIn(baz.state)).toEqual([]);
    tellsWhatItShows(baz);
  });

  it('is over when this process leads again', async () => {
    const { world, baz } = await failedRelease(500);
    await world.time.advanceUntil(() => baz.leads, 5_000);
    expect(codesIn(baz.state)).toEqual([]);
  });
});

describe('a failed request for the lease of another holder', () => {
  it('is shown until the lease has a new holder', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing', { leaseDurationSeconds: 120 }));
    const baz = world.start('baz', { spread: true, leaseDuration: 120_000 });
    await world.time.advance(100);
    baz.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : DENIED);
    void baz.elector.askForLease();
    await world.time.advance(100);
    world.lease.relabel();
    await world.time.advance(5_000);
    expect(codesIn(baz.state)).toEqual(['LEADER_FORBIDDEN']);
    world.lease.edit(recordOf('other', { leaseDurationSeconds: 120 }));
    await world.time.advance(100);
    expect(codesIn(baz.state)).toEqual([]);
  });
});

it('a late failure of a request that is older than a successful one is not shown', async () => {
  const world = new World();
  const baz = world.start('baz');
  await world.time.advance(3_000);
  let writes = 0;
  baz.lock.fate = ({ verb }) =>
    verb === 'update' && writes++ === 0 ? { error: FULL, carriedOut: false, replyDelayMs: 2_500 } : 'answer';
  await world.time.advance(4_000);
  expect(baz.story).toContain('error LEADER_SERVER_ERROR');
  expect(codesIn(baz.state)).toEqual([]);
});
