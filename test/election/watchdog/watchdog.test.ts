import { expect, it } from 'vitest';
import { ScriptedElector, StaticElector, Watchdog, type ElectorState } from '../../../lib/election/index.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';
import { World } from '../candidate.js';

it('passes before there is an election, and for one that has not started', () => {
  const watchdog = new Watchdog();
  expect(watchdog.check()).toBeUndefined();
  watchdog.watch(new ScriptedElector());
  expect(watchdog.check()).toBeUndefined();
});

it('fails when an elector acts as leader although its lease has expired for longer than tolerated', () => {
  const time = new SimulatedTime();
  const clock = time.clock();
  const watchdog = new Watchdog({ maxTolerableExpiredLease: 5_000, clock });
  const term = { renewedAt: clock.date(), remaining: () => 1 };
  watchdog.watch({ state: { kind: 'leading', term } as unknown as ElectorState }, 15_000);
  time.jump(20_000);
  expect(watchdog.check()).toBeUndefined();
  time.jump(1);
  expect(watchdog.check()).toBe('acts as leader, but last renewed its lease 20001 ms ago');
});

it('passes for a follower and for a leader without a lease, however long ago the last renewal was', () => {
  const time = new SimulatedTime();
  const clock = time.clock();
  for (const role of ['leader', 'follower'] as const) {
    const elector = new StaticElector({ role, clock });
    void elector.run(new AbortController().signal, () => undefined);
    const watchdog = new Watchdog({ clock });
    watchdog.watch(elector);
    time.jump(3_600_000);
    expect(watchdog.check()).toBeUndefined();
  }
});

it('never fails for a LeaseElector: when it is cut off, it stops leading by itself', async () => {
  const world = new World();
  const baz = world.start('baz');
  await world.time.advance(100);
  const watchdog = new Watchdog({ maxTolerableExpiredLease: 0, clock: baz.clock });
  watchdog.watch(baz.elector);
  baz.lock.fate = () => 'lose';
  world.time.jump(3_600_000);
  expect(watchdog.check()).toBeUndefined();
  expect(baz.leads).toBe(false);
});

it.each([[Number.NaN], ['x'], [-1], [Infinity]])('refuses %o, with which it would never fail', (value) => {
  const given = value as number;
  const rule = 'it must be a number of milliseconds, 0 or more';
  expect(() => new Watchdog({ maxTolerableExpiredLease: given })).toThrow(rule);
  expect(() => {
    new Watchdog().watch(new ScriptedElector(), given);
  }).toThrow(`leaseDuration is ${typeof value === 'string' ? "'x'" : String(value)}: ${rule}`);
});
