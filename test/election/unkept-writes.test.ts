/** Writes that the server reports as successful but does not keep, and endless conflicts: both are paced and reported. */
import { describe, expect, it } from 'vitest';
import {
  LeaseClaim,
  LeaseRequestError,
  resolveElectionOptions,
  type LeaseRecord,
  type LeaseSnapshot,
  type MicroTime,
} from '../../lib/election/index.js';
import { World, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

const FOR_MS = 20_000;
const RETRY_MS = 2_000;
/** Two at once, one per retryPeriod, and one more when the lease expires or is renewed. */
const MOST_WRITES = FOR_MS / RETRY_MS + 3;

/** What the server returns for a write. */
type Mangling = (written: LeaseSnapshot, base: LeaseSnapshot | undefined) => LeaseSnapshot;

const withRecord =
  (change: (record: LeaseRecord) => LeaseRecord): Mangling =>
  (written) => ({ ...written, record: change(written.record) });
const truncated = (time: MicroTime | undefined): MicroTime =>
  `${String(time).slice(0, 19)}.000000Z` as MicroTime;

const manglings: [string, Mangling, string][] = [
  ['the spec was dropped', withRecord(() => ({ ...recordOf(''), leaseDurationSeconds: undefined, acquireTime: undefined, renewTime: undefined, leaseTransitions: undefined })), 'holderIdentity'],
  ['times were truncated', withRecord((record) => ({ ...record, renewTime: truncated(record.renewTime), acquireTime: truncated(record.acquireTime) })), 'renewTime'],
  ['another holder with the duration 0', withRecord((record) => ({ ...record, holderIdentity: 'hook', leaseDurationSeconds: 0 })), 'holderIdentity'],
  ['another duration', withRecord((record) => ({ ...record, leaseDurationSeconds: 3_600 })), 'leaseDurationSeconds'],
  ['the object as it was before', (written, base) => base ?? { ...written, record: recordOf('old') }, 'renewTime'],
  ['another uid', (written) => ({ ...written, uid: 'another' }), 'uid'],
]; // prettier-ignore

/** Answers the candidate's writes with that; `stored`: the server also keeps it. */
function mangle(world: World, { lock }: Candidate, mangling: Mangling, stored: boolean): { writes: number } {
  const count = { writes: 0 };
  const { create, update } = lock;
  const answer = (
    base: LeaseSnapshot | undefined,
    outcome: Awaited<ReturnType<typeof update>>,
  ): typeof outcome => {
    if (outcome.kind === 'conflict') return outcome;
    const snapshot = mangling(outcome.snapshot, base);
    if (!stored) return { kind: 'written', snapshot };
    world.lease.edit(snapshot.record);
    return {
      kind: 'written',
      snapshot: { ...snapshot, resourceVersion: String(world.lease.stored?.resourceVersion) },
    };
  };
  lock.create = async (record, call) => {
    count.writes += 1;
    return answer(undefined, await create(record, call));
  };
  lock.update = async (base, record, call) => {
    count.writes += 1;
    return answer(base, await update(base, record, call));
  };
  return count;
}

const told = ({ story }: Candidate, code: string): number =>
  story.filter((line) => line === `error ${code}`).length;

describe.each([
  ['which the server keeps', true],
  ['although the server keeps what was written', false],
])('a write that returns other values, %s', (_, stored) => {
  it.each(manglings)(
    '%s: a claim is paced, and reported with the fields that differ',
    async (__, mangling, field) => {
      const world = new World();
      world.lease.edit(recordOf(''));
      const baz = world.prepare('baz');
      const count = mangle(world, baz, mangling, stored);
      baz.lock.watchStalled = true;
      baz.start();
      await world.time.advance(FOR_MS);
      expect(count.writes).toBeLessThanOrEqual(MOST_WRITES);
      expect(told(baz, 'LEADER_WRITE_NOT_KEPT')).toBeGreaterThanOrEqual(1);
      const message = baz.events.flatMap((event) => (event.type === 'error' ? [event.error.message] : []))[0];
      expect(message).toContain(field);
      expect(message).toContain('admission webhook');
    },
  );

  it.each(manglings)(
    '%s: a renewal is paced and reported, too, and does not extend the term',
    async (__, mangling) => {
      const world = new World();
      const baz = world.start('baz');
      await world.time.advance(1_000);
      const count = mangle(world, baz, mangling, stored);
      await world.time.advance(FOR_MS);
      expect(count.writes).toBeLessThanOrEqual(MOST_WRITES);
      expect(told(baz, 'LEADER_WRITE_NOT_KEPT')).toBeGreaterThanOrEqual(1);
      // In the other cases the record stays its own.
      if (stored && manglings.slice(0, 4).some(([, other]) => other === mangling))
        expect(baz.story).toContainEqual(expect.stringMatching(/^stopped/));
    },
  );

  it.each(manglings)('%s: a release is retried a limited number of times', async (__, mangling) => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const count = mangle(world, baz, mangling, stored);
    baz.stop();
    await world.time.advance(FOR_MS);
    expect(baz.ended).toBe(true);
    // Four times per retryPeriod, for renewDeadline.
    expect(count.writes).toBeLessThanOrEqual(22);
    const holder = world.lease.stored?.record.holderIdentity;
    if (holder === 'baz') expect(told(baz, 'LEADER_RELEASE_FAILED')).toBe(1);
  });

  it.each(manglings)('%s: a single claim reports it', async (__, mangling) => {
    const world = new World();
    const baz = world.prepare('baz');
    mangle(world, baz, mangling, stored);
    const claim = new LeaseClaim({
      lock: baz.lock,
      clock: baz.clock,
      options: resolveElectionOptions(
        { leaseName: 'simulated' },
        { leaseNamespace: 'default', identity: 'baz' },
      ),
    });
    const outcome = claim.tryAcquireOrRenew();
    await world.time.advance(100);
    expect(await outcome).toMatchObject(
      mangling === manglings[5]?.[1]
        ? { kind: 'held' }
        : { kind: 'unknown', error: { code: 'LEADER_WRITE_NOT_KEPT' } },
    );
  });
});

it('a renewal that was kept, but returned the object before it, does not end the term', async () => {
  const world = new World();
  const baz = world.start('baz');
  await world.time.advance(1_000);
  mangle(world, baz, (written, base) => base ?? written, false);
  await world.time.advance(60_000);
  expect(baz.story.filter((line) => line.startsWith('st'))).toEqual(['started 1']);
});

it('a request for the lease whose annotation is dropped has failed, which is reported', async () => {
  const world = new World();
  world.start('bing', { spread: true });
  await world.time.advance(100);
  const baz = world.start('baz', { spread: true });
  await world.time.advance(100);
  mangle(
    world,
    baz,
    withRecord(({ wantedBy: _, ...record }) => record),
    true,
  );
  const asked = baz.elector.askForLease();
  await world.time.advance(100);
  expect(await asked).toBe(false);
  expect(told(baz, 'LEADER_WRITE_NOT_KEPT')).toBe(1);
});

describe('a conflict (409) for every write', () => {
  const scripts: [string, (world: World) => void][] = [
    ['and the Lease is unchanged', () => undefined],
    [
      'and the Lease has a new version each time',
      (world) => {
        world.lease.relabel();
      },
    ],
    [
      'and the Lease has new times each time',
      (world) => {
        const { stored } = world.lease;
        if (stored !== undefined)
          world.lease.edit({
            ...stored.record,
            leaseTransitions: (stored.record.leaseTransitions ?? 0) + 1,
          });
      },
    ],
    [
      'and the Lease has another holder for 0 s each time',
      (world) => {
        const { stored } = world.lease;
        world.lease.edit(
          recordOf('hook', {
            leaseDurationSeconds: 0,
            leaseTransitions: (stored?.record.leaseTransitions ?? 0) + 1,
          }),
        );
      },
    ],
  ];

  it.each(scripts)('%s: claims are paced, and the conflicts reported', async (_, script) => {
    for (const watch of ['stalled', 'open']) {
      const world = new World();
      world.lease.edit(recordOf(''));
      const baz = world.prepare('baz');
      let writes = 0;
      baz.lock.fate = ({ verb }) => {
        if (verb === 'get') return 'answer';
        writes += 1;
        script(world);
        return { conflict: true };
      };
      baz.lock.watchStalled = watch === 'stalled';
      baz.start();
      await world.time.advance(FOR_MS);
      expect([watch, writes <= MOST_WRITES, writes]).toEqual([watch, true, writes]);
      expect(told(baz, 'LEADER_WRITE_CONFLICT')).toBeGreaterThanOrEqual(1);
    }
  });

  it.each(scripts.slice(0, 2))('%s: renewals are paced, and the conflicts reported', async (_, script) => {
    for (const watch of ['stalled', 'open']) {
      const world = new World();
      const baz = world.start('baz');
      await world.time.advance(1_000);
      let writes = 0;
      baz.lock.fate = ({ verb }) => {
        if (verb === 'get') return 'answer';
        writes += 1;
        script(world);
        return { conflict: true };
      };
      baz.lock.watchStalled = watch === 'stalled';
      await world.time.advance(FOR_MS);
      expect([watch, writes <= MOST_WRITES, writes]).toEqual([watch, true, writes]);
      expect(told(baz, 'LEADER_WRITE_CONFLICT')).toBeGreaterThanOrEqual(1);
      expect(baz.story).toContain('stopped deadline');
    }
  });

  it.each(scripts.slice(0, 2))('%s: releases are paced, and the failure is reported', async (_, script) => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    let writes = 0;
    baz.lock.fate = ({ verb }) => {
      if (verb === 'get') return 'answer';
      writes += 1;
      script(world);
      return { conflict: true };
    };
    baz.stop();
    await world.time.advance(FOR_MS);
    expect(writes).toBeLessThanOrEqual(22);
    expect(told(baz, 'LEADER_RELEASE_FAILED')).toBe(1);
  });

  it('a lost race does not count as such a conflict', async () => {
    const world = new World();
    const candidates = Array.from({ length: 8 }, (_, index) => world.start(`pod-${String(index)}`));
    for (let handOvers = 0; handOvers < 6; handOvers++) {
      await world.time.advance(1_000);
      void candidates.find(({ leads }) => leads)?.elector.stepDown({ cooldown: 500 });
      await world.time.advance(30);
      expect(candidates.filter(({ leads }) => leads)).toHaveLength(1);
    }
    for (const candidate of candidates) expect(told(candidate, 'LEADER_WRITE_CONFLICT')).toBe(0);
  });
});

it('terms that end as soon as they begin do not follow each other in a loop', async () => {
  const world = new World();
  const baz = world.prepare('baz');
  let writes = 0;
  baz.lock.fate = ({ verb }) => {
    if (verb === 'get') return 'answer';
    writes += 1;
    // Somebody empties the Lease as soon as it is held.
    world.time.schedule(2, () => {
      world.lease.edit(recordOf('hook', { leaseDurationSeconds: 0, leaseTransitions: writes }));
    });
    return 'answer';
  };
  baz.start();
  await world.time.advance(FOR_MS);
  expect(writes).toBeLessThanOrEqual(8 * (FOR_MS / RETRY_MS) + 10);
});

it('a server error for every second write is not reported as conflicts', async () => {
  const world = new World();
  const baz = world.start('baz');
  await world.time.advance(1_000);
  let writes = 0;
  baz.lock.fate = ({ verb }) =>
    verb !== 'get' && writes++ % 2 === 0
      ? new LeaseRequestError('LEADER_SERVER_ERROR', 'planted', { maybeCommitted: true })
      : 'answer';
  await world.time.advance(60_000);
  expect(told(baz, 'LEADER_WRITE_CONFLICT')).toBe(0);
  expect(baz.story.filter((line) => line.startsWith('st'))).toEqual(['started 1']);
});

describe.each<[string, (record: LeaseRecord) => LeaseRecord]>([
  ['whole seconds', (record) => ({ ...record, renewTime: '2001-02-03T04:05:06.000000Z' as MicroTime })],
  ['a longer duration', (record) => ({ ...record, leaseDurationSeconds: 60 })],
  ['another name', (record) => ({ ...record, holderIdentity: `team-${record.holderIdentity}` })],
])('a webhook that changes our writes to %s: LEADER_WRITE_NOT_KEPT', (_, change) => {
  it.each(['a claim', 'a renewal'])('is shown all the time, for %s', async (which) => {
    const world = new World();
    const baz = world.prepare('baz');
    const { update, create } = baz.lock;
    let changes = which === 'a claim';
    const changed = (record: LeaseRecord): LeaseRecord => (changes ? change(record) : record);
    baz.lock.update = (base, record, call) => update(base, changed(record), call);
    baz.lock.create = (record, call) => create(changed(record), call);
    baz.start();
    await world.time.advance(100);
    changes = true;
    await world.time.advance(12_000);
    const shown = new Set<string>();
    for (let look = 0; look < 600; look++) {
      await world.time.advance(100);
      const { state } = baz.elector;
      shown.add(String('error' in state && state.error?.code));
    }
    expect(shown).toEqual(new Set(['LEADER_WRITE_NOT_KEPT']));
    changes = false;
    // Another process takes the lease, so nothing needs to be written.
    world.lease.edit(recordOf('bing'));
    await world.time.advance(10);
    expect(baz.state).toMatchObject({ kind: 'following', error: undefined });
  });
});
