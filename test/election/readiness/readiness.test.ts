/** A candidate that campaigns only while its check passes. */
import { describe, expect, it } from 'vitest';
import { Readiness, type Clock, type LeaderError, type ReadinessCheck } from '../../../lib/election/index.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';
import { World, type Candidate } from '../candidate.js';

const interval = 5_000;
const checkedBy = (check: ReadinessCheck) => (clock: Clock) => new Readiness({ check, interval, clock });

function errorOf({ state }: Candidate): string | undefined {
  return 'error' in state ? state.error?.message : undefined;
}

describe('a candidate with a readiness check', () => {
  it('follows until it passes, with an error that says so, and then leads within a round trip', async () => {
    const world = new World();
    let ready = false;
    const baz = world.start(
      'baz',
      {},
      {},
      checkedBy(() => ready),
    );
    await world.time.advance(12_000);
    expect(baz.story).toEqual(['error LEADER_NOT_READY']);
    expect(world.lease.stored).toBeUndefined();
    expect(errorOf(baz)).toContain('its readiness check fails: it returned false');

    ready = true;
    await world.time.advance(3_000);
    expect(baz.leads).toBe(false);
    await world.time.advance(10);
    expect(baz.leads).toBe(true);
    expect(errorOf(baz)).toBeUndefined();
  });

  it('neither campaigns before the first result nor claims a released lease while it is not ready', async () => {
    const world = new World();
    const bing = world.start('bing');
    await world.time.advance(100);
    const baz = world.start(
      'baz',
      {},
      {},
      checkedBy(() => Promise.reject(new Error('no database'))),
    );
    await world.time.advance(100);
    expect(baz.story).toEqual(['error LEADER_NOT_READY', 'leader bing']);
    bing.stop();
    await world.time.advance(60_000);
    expect(baz.leads).toBe(false);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
    expect(baz.state).toMatchObject({ error: { cause: { message: 'no database' } } });
  });

  it('hands over when the check fails, and campaigns again when it passes', async () => {
    const world = new World();
    let ready = true;
    const baz = world.start(
      'baz',
      {},
      {},
      checkedBy(() => ready),
    );
    await world.time.advance(100);
    const bing = world.start('bing');
    await world.time.advance(1_000);
    expect(baz.leads).toBe(true);
    const leave = baz.term.enter();
    const { term } = baz;

    ready = false;
    await world.time.advance(4_000);
    expect(baz.state.kind).toBe('handingOver');
    expect(term.signal.aborted).toBe(true);
    expect(bing.leads).toBe(false);
    leave();
    await world.time.advance(10);
    expect(baz.story.slice(-3)).toEqual(['stopped steppedDown', 'leader ', 'leader bing']);
    expect(bing.leads).toBe(true);

    ready = true;
    await world.time.advance(interval);
    bing.stop();
    await world.time.advance(10);
    expect(baz.leads).toBe(true);
  });

  it('is not ready while a check hangs, and the check gets a signal that fires', async () => {
    const world = new World();
    const signals: AbortSignal[] = [];
    const hangs: ReadinessCheck = (signal) => {
      signals.push(signal);
      return new Promise(() => undefined);
    };
    const baz = world.start('baz', {}, {}, checkedBy(hangs));
    await world.time.advance(interval + 100);
    expect(errorOf(baz)).toContain('no answer within readinessInterval, 5000 ms');
    await world.time.advance(interval);
    const codes = (): unknown[] => signals.map(({ reason }) => (reason as LeaderError | undefined)?.code);
    expect(codes()).toEqual(['LEADER_NOT_READY', 'LEADER_NOT_READY', undefined]);
    await world.time.advance(10 * interval);
    expect(baz.story).toEqual(['error LEADER_NOT_READY']);
    baz.stop();
    await world.time.advance(10);
    expect(codes().at(-1)).toBe('LEADER_STOPPED');
  });

  it('does not fire the signal of a check that has ended', async () => {
    const world = new World();
    const signals: AbortSignal[] = [];
    const baz = world.start(
      'baz',
      {},
      {},
      checkedBy((signal) => signals.push(signal)),
    );
    await world.time.advance(2 * interval + 100);
    baz.stop();
    await world.time.advance(10);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, false]);
  });

  it('hands over when a check that had passed before hangs', async () => {
    const world = new World();
    let hangs = false;
    const check: ReadinessCheck = () => (hangs ? new Promise(() => undefined) : undefined);
    const baz = world.start('baz', {}, {}, checkedBy(check));
    await world.time.advance(100);
    hangs = true;
    await world.time.advance(2 * interval - 200);
    expect(baz.leads).toBe(true);
    await world.time.advance(200);
    expect(baz.leads).toBe(false);
  });

  it('does not call the check after the elector has stopped', async () => {
    const world = new World();
    let asked = 0;
    const check: ReadinessCheck = () => {
      asked += 1;
    };
    const baz = world.start('baz', {}, {}, checkedBy(check));
    await world.time.advance(2 * interval + 100);
    expect(asked).toBe(3);
    baz.stop();
    await world.time.advance(10 * interval);
    expect([baz.ended, asked, world.time.pending]).toEqual([true, 3, 0]);
  });
});

it.each<[unknown, string]>([
  [Object.create(null), 'fails: {}.'],
  ['not yet', 'fails: not yet.'],
  [Symbol('x'), 'fails: a symbol.'],
])('is not ready when the check throws a value that is not an error: %#', async (thrown, told) => {
  const world = new World();
  const check: ReadinessCheck = () => {
    throw thrown;
  };
  const baz = world.start('baz', {}, {}, checkedBy(check));
  await world.time.advance(100);
  expect(errorOf(baz)).toContain(told);
});

it('refuses an invalid check and an invalid interval', () => {
  const check = 'yes' as unknown as ReadinessCheck;
  expect(() => new Readiness({ check, interval: 0 })).toThrow(
    /readinessCheck is string: it must be a function[^]*readinessInterval is 0: it must be/,
  );
});

it('changes nothing any more after the end', async () => {
  const time = new SimulatedTime();
  let changes = 0;
  const end = checkedBy(() => true)(time.clock()).observe(() => {
    changes += 1;
  });
  end();
  await time.settle();
  expect([changes, time.pending]).toEqual([0, 0]);
});
