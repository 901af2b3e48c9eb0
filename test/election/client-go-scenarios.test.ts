/**
 * The scenarios of client-go's own tests that concern an election on a Lease (reference: client-go
 * `tools/leaderelection`). This process is `baz`, the other is `bing`; timing 15/10/2 s.
 */
import { describe, expect, it } from 'vitest';
import { LeaseRequestError } from '../../lib/election/index.js';
import { World } from './candidate.js';
import { recordOf } from './records.js';

const verbs = (world: World): string[] => world.lease.requests.map(({ verb }) => verb);

describe('acquiring', () => {
  it('1: creates the Lease when there is none, with no transition', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advanceUntil(() => baz.leads, 1000);
    expect(verbs(world)).toEqual(['get', 'create']);
    expect(world.lease.stored?.record).toMatchObject({
      holderIdentity: 'baz',
      leaseTransitions: 0,
      leaseDurationSeconds: 15,
    });
  });

  it('2: takes a Lease with an empty spec, as the first transition', async () => {
    const world = new World();
    world.lease.edit({
      holderIdentity: '',
      leaseDurationSeconds: undefined,
      acquireTime: undefined,
      renewTime: undefined,
      leaseTransitions: 0,
    });
    const baz = world.start('baz');
    await world.time.advanceUntil(() => baz.leads, 1000);
    expect(verbs(world)).toEqual(['get', 'update']);
    expect(world.lease.stored?.record).toMatchObject({ holderIdentity: 'baz', leaseTransitions: 1 });
  });

  it("3: respects another holder for the record's duration, not for its own", async () => {
    const world = new World();
    world.lease.edit(recordOf('bing', { leaseDurationSeconds: 3 }));
    const baz = world.start('baz');
    await world.time.advance(2_900);
    expect(baz.leads).toBe(false);
    await world.time.advance(200);
    expect(baz.leads).toBe(true);
    expect(world.lease.stored?.record.leaseTransitions).toBe(1);
  });

  it('4, 6: takes a lease without a holder at once, whatever its times are', async () => {
    const world = new World();
    world.lease.edit(recordOf('', { renewTime: '2199-01-01T00:00:00.000000Z' as never }));
    const baz = world.start('baz');
    await world.time.advance(20);
    expect(baz.leads).toBe(true);
    expect(world.lease.stored?.record.leaseTransitions).toBe(1);
  });

  it('5: takes over from a holder that has not renewed for its lease duration', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing'));
    const baz = world.start('baz');
    await world.time.advance(14_900);
    expect(baz.leads).toBe(false);
    await world.time.advanceUntil(() => baz.leads, 200);
    expect(world.lease.stored?.record).toMatchObject({ holderIdentity: 'baz', leaseTransitions: 1 });
  });

  it('7: respects a holder that it has just seen, after one read', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing'));
    world.start('baz');
    await world.time.advance(1_000);
    expect(verbs(world)).toEqual(['get']);
  });

  it('34: edits of labels neither renew a lease nor end a term', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing'));
    const baz = world.start('baz');
    await world.time.advance(10_000);
    world.lease.relabel();
    await world.time.advance(4_900);
    expect(baz.leads).toBe(false);
    await world.time.advanceUntil(() => baz.leads, 200);
    world.lease.relabel();
    await world.time.advance(60_000);
    expect(baz.story).toEqual(['leader bing', expect.stringMatching(/^started/), 'leader baz']);
  });
});

describe('renewing', () => {
  it('8, 18: keeps renewing, with transitions and acquireTime unchanged', async () => {
    const world = new World();
    const baz = world.start('baz');
    baz.clock.random = () => 0;
    await world.time.advance(100);
    const first = world.lease.stored?.record;
    await world.time.advance(7_000);
    expect(verbs(world)).toEqual(['get', 'create', 'update', 'update']);
    expect(world.lease.stored?.record).toEqual({ ...first, renewTime: world.lease.stored?.record.renewTime });
    expect(world.lease.stored?.record.renewTime).not.toBe(first?.renewTime);
    expect(baz.leads).toBe(true);
  });

  it('19: reads after an update was refused, then updates on top of that', async () => {
    const world = new World();
    const baz = world.start('baz');
    baz.clock.random = () => 0;
    await world.time.advance(100);
    baz.lock.watchStalled = true;
    world.lease.relabel();
    await world.time.advance(3_500);
    expect(verbs(world)).toEqual(['get', 'create', 'update', 'get', 'update']);
    expect(baz.story).toEqual(['started 1', 'leader baz']);
  });
});

describe('releasing', () => {
  it('12: releases with holder "", one second and unchanged transitions, which the next term increments', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    baz.stop();
    await world.time.advance(10);
    expect(baz.ended).toBe(true);
    expect(world.lease.stored?.record).toMatchObject({
      holderIdentity: '',
      leaseDurationSeconds: 1,
      leaseTransitions: 0,
    });
    expect(baz.story).toEqual(['started 1', 'leader baz', 'stopped stopped', 'leader ']);
    const bing = world.start('bing');
    await world.time.advance(20);
    expect(bing.term.fencingToken).toBe(3n);
    expect(world.lease.stored?.record.leaseTransitions).toBe(1);
  });

  it('13, 14: after a refused release it reads, and releases what is still its own', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    baz.lock.watchStalled = true;
    world.lease.relabel();
    baz.stop();
    await world.time.advance(20);
    expect(verbs(world).slice(2)).toEqual(['update', 'get', 'update']);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
  });

  it("never empties another holder's lease", async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    baz.lock.watchStalled = true;
    world.lease.edit(recordOf('bing'));
    baz.stop();
    await world.time.advance(20);
    expect(baz.ended).toBe(true);
    expect(world.lease.stored?.record.holderIdentity).toBe('bing');
  });

  it.each(['create', 'update', 'get'] as const)(
    '15, 16: stopped while a %s is in flight, it holds nothing afterwards and announces no incomplete term',
    async (verb) => {
      const world = new World();
      if (verb !== 'create') world.lease.edit(recordOf(''));
      const baz = world.prepare('baz');
      baz.lock.watchStalled = true;
      baz.lock.fate = (request) => (request.verb === verb ? { delayMs: 500 } : 'answer');
      baz.start();
      await world.time.advance(100);
      baz.stop();
      await world.time.advance(5_000);
      expect(baz.ended).toBe(true);
      expect(world.lease.stored?.record.holderIdentity ?? '').toBe('');
      expect(baz.story.filter((line) => line.startsWith('st'))).toEqual([]);
    },
  );

  it('15: stopped while a renewal is in flight, it still releases, with one pair of events', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(3_000);
    baz.lock.fate = () => ({ delayMs: 100 });
    await world.time.advance(350);
    baz.stop();
    await world.time.advance(2_000);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
    expect(baz.story.filter((line) => line.startsWith('st'))).toEqual(['started 1', 'stopped stopped']);
  });

  it('35, 36: keeps the lease until the work has ended, and emits one stoppedLeading', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    const leave = baz.term.enter();
    const { signal } = baz.term;
    baz.stop();
    expect(signal.aborted).toBe(true);
    await world.time.advance(19_000);
    expect(world.lease.stored?.record.holderIdentity).toBe('baz');
    leave();
    await world.time.advance(10);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
    expect(baz.story.filter((line) => line.startsWith('stopped'))).toEqual(['stopped stopped']);
  });

  it('37: a follower that is stopped does not lead first', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing'));
    const baz = world.start('baz');
    await world.time.advance(100);
    baz.stop();
    await world.time.advance(100);
    expect(baz.ended).toBe(true);
    expect(baz.story).toEqual(['leader bing']);
    expect(world.lease.stored?.record.holderIdentity).toBe('bing');
  });
});

describe('errors', () => {
  it('are not final: it keeps campaigning and reports what is wrong', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const codes = [
      'LEADER_UNAUTHORIZED',
      'LEADER_FORBIDDEN',
      'LEADER_NAMESPACE_NOT_FOUND',
      'LEADER_SERVER_ERROR',
    ] as const;
    const script = [...codes];
    baz.lock.fate = () => {
      const code = script.shift();
      return code === undefined
        ? 'answer'
        : new LeaseRequestError(code, 'planted', { maybeCommitted: false });
    };
    baz.start();
    await world.time.advance(1_000);
    expect(baz.state).toMatchObject({ kind: 'following', error: { code: 'LEADER_UNAUTHORIZED' } });
    await world.time.advanceUntil(() => baz.leads, 20_000);
    expect(baz.story.slice(0, 4)).toEqual(codes.map((code) => `error ${code}`));
    expect(baz.state).toMatchObject({ kind: 'leading', error: undefined });
  });
});
