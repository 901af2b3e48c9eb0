/** Work that ends late, locks that misbehave, and the memory of ended terms. */
import v8 from 'node:v8';
import vm from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { ElectionEvent, LeaseSnapshot } from '../../lib/election/index.js';
import { World, fedByHand } from './candidate.js';
import { recordOf } from './records.js';

describe('work of a lost term', () => {
  it('that ends after drainTimeout causes a stateChanged event', async () => {
    const world = new World();
    const baz = world.start('baz', { drainTimeout: 1_000 });
    await world.time.advanceUntil(() => baz.leads, 10_000);
    const leave = baz.term.enter();
    if (world.lease.stored === undefined) throw new Error('none');
    world.lease.edit({ ...world.lease.stored.record, holderIdentity: 'bing' });
    await world.time.advance(3_000);
    expect(baz.story).toContain('error LEADER_DRAIN_TIMEOUT');
    expect(baz.state).toMatchObject({ kind: 'following', stillRunning: 1 });
    leave();
    const last = baz.events.filter((event) => event.type === 'stateChanged').at(-1);
    expect(last?.state).toMatchObject({ kind: 'following', stillRunning: 0 });
  });
});

describe('a lock that misbehaves as no API server does', () => {
  it('returns an invalid resourceVersion: the run can still be stopped', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const odd = (snapshot: LeaseSnapshot): LeaseSnapshot => ({ ...snapshot, resourceVersion: 'abc' });
    const create = baz.lock.create.bind(baz.lock);
    baz.lock.create = async (record, call) => {
      const outcome = await create(record, call);
      return outcome.kind === 'written' ? { kind: 'written', snapshot: odd(outcome.snapshot) } : outcome;
    };
    baz.lock.get = () => Promise.resolve(undefined);
    baz.lock.watch = (onEvent, signal) =>
      new Promise((resolve) => {
        onEvent({ kind: 'opened' });
        signal.addEventListener('abort', () => {
          resolve();
        });
      });
    const rejections: unknown[] = [];
    const note = (error: unknown): void => void rejections.push(error);
    process.on('unhandledRejection', note);
    try {
      baz.start();
      for (let n = 0; n < 20; n++) {
        try {
          await world.time.advance(1_000);
        } catch (error) {
          rejections.push(error);
        }
      }
      baz.stop();
      await world.time.advance(60_000);
    } finally {
      process.removeListener('unhandledRejection', note);
    }
    expect(baz.ended).toBe(true);
  });

  it('shows an invalid resourceVersion: the lease is not believed, and the watch is ended and reported', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const show = fedByHand(baz);
    baz.start();
    await world.time.advance(1_000);
    const snapshot = { record: recordOf('bing'), resourceVersion: 'abc', uid: 'another', carried: undefined };
    show({ kind: 'seen', snapshot });
    expect(baz.events.find(({ type }) => type === 'error')).toMatchObject({
      error: {
        code: 'LEADER_SERVER_ERROR',
        message:
          "The lock of default/simulated returned the resourceVersion 'abc': it must be a decimal number.",
      },
    });
    await world.time.advance(1_000);
    expect(baz.story).toEqual(['started 1', 'leader baz', 'error LEADER_SERVER_ERROR']);
  });

  it('throws synchronously', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const { lock } = baz;
    const original = { get: lock.get, create: lock.create, update: lock.update, watch: lock.watch };
    const boom = (): never => {
      throw new Error('boom');
    };
    Object.assign(lock, { get: boom, create: boom, update: boom, watch: boom });
    baz.start();
    await world.time.advance(20_000);
    expect(baz.story).toContain('error LEADER_UNREACHABLE');
    Object.assign(lock, original);
    await world.time.advanceUntil(() => baz.leads, 30_000);
    Object.assign(lock, { get: boom, create: boom, update: boom, watch: boom });
    await world.time.advance(20_000);
    expect(baz.story).toContain('stopped deadline');
    baz.stop();
    await world.time.advance(60_000);
    expect(baz.ended).toBe(true);
    expect(baz.clock.timers).toBe(0);
  });

  it('calls back after its watch has ended or was closed', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    let late: Parameters<typeof baz.lock.watch>[0] = () => undefined;
    const watch = baz.lock.watch.bind(baz.lock);
    let first = true;
    baz.lock.watch = (onEvent, signal) => {
      if (first) late = onEvent;
      first = false;
      return watch(onEvent, signal);
    };
    baz.start();
    await world.time.advanceUntil(() => baz.leads, 10_000);
    baz.lock.endWatch();
    await world.time.advance(5);
    const { stored } = world.lease;
    if (stored === undefined) throw new Error('none');
    late({
      kind: 'seen',
      snapshot: { ...stored, resourceVersion: '999', record: { ...stored.record, holderIdentity: 'x' } },
    });
    late({ kind: 'opened' });
    expect(baz.leads).toBe(true);
    baz.stop();
    await world.time.advance(1_000);
    expect(baz.ended).toBe(true);
    const told = baz.events.length;
    late({ kind: 'opened' });
    expect(baz.events.length).toBe(told);
  });
});

describe('memory', () => {
  it('of ended terms is collected', async () => {
    v8.setFlagsFromString('--expose-gc');
    const gc = vm.runInNewContext('gc') as () => void;
    const world = new World();
    const baz = world.start('baz');
    const refs: WeakRef<object>[] = [];
    baz.events.push = (...events: ElectionEvent[]): number => {
      for (const event of events) if (event.type === 'startedLeading') refs.push(new WeakRef(event.term));
      return 0;
    };
    for (let n = 0; n < 100; n++) {
      await world.time.advanceUntil(() => baz.leads, 60_000);
      void baz.elector.stepDown({ cooldown: 100 });
      await world.time.advance(200);
    }
    await world.time.settle();
    gc();
    expect(refs.length).toBeGreaterThan(99);
    expect(refs.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(5);
  });

  it('of terms whose observers step down at once and whose signals have listeners is collected, too', async () => {
    v8.setFlagsFromString('--expose-gc');
    const gc = vm.runInNewContext('gc') as () => void;
    const world = new World();
    const baz = world.start('baz');
    const refs: WeakRef<object>[] = [];
    baz.events.push = (...events: ElectionEvent[]): number => {
      for (const event of events)
        if (event.type === 'startedLeading') {
          refs.push(new WeakRef(event.term));
          event.term.signal.addEventListener('abort', () => {
            void baz.elector.stepDown();
          });
          void baz.elector.stepDown({ cooldown: 10 });
        }
      return 0;
    };
    await world.time.advance(5_000);
    await world.time.settle();
    gc();
    expect(refs.length).toBeGreaterThan(20);
    expect(refs.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(5);
  });
});

describe('stepDown', () => {
  it('resolves before the run, when called twice, after the end, and in a term that is not announced', async () => {
    const world = new World();
    let done = 0;
    const count = (): void => void (done += 1);
    const baz = world.prepare('baz', {}, {}, undefined, {
      atStart: () => new Promise(() => undefined),
      atEnd: () => Promise.resolve(),
    });
    await baz.elector.stepDown().then(count);
    baz.start();
    await world.time.advanceUntil(() => world.lease.stored?.record.holderIdentity === 'baz', 10_000);
    await world.time.advance(10);
    void baz.elector.stepDown().then(count);
    void baz.elector.stepDown().then(count);
    await world.time.advance(100);
    expect(done).toBe(3);
    expect(baz.story.filter((line) => line.startsWith('st'))).toEqual([]);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
    baz.stop();
    await world.time.advance(100);
    await baz.elector.stepDown().then(count);
    expect(done).toBe(4);
    expect(baz.clock.timers).toBe(0);
  });
});

describe('a process with work of a lost term', () => {
  it('campaigns as soon as that work has ended', async () => {
    const world = new World();
    const baz = world.start('baz', { drainTimeout: 60_000 });
    await world.time.advanceUntil(() => baz.leads, 10_000);
    const leave = baz.term.enter();
    world.time.jump(11_000);
    await world.time.advance(5_000);
    expect(baz.state.kind).toBe('following');
    leave();
    await world.time.advance(10);
    expect(baz.leads).toBe(true);
  });
});
