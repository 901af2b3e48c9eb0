/** The driver, with a machine that a test controls. */
import { expect, it } from 'vitest';
import { NEVER } from '../../lib/election/clock.js';
import { Driver, type Driven } from '../../lib/election/driver.js';
import { newLife, type LifeEffect, type LifeEvent, type Reading } from '../../lib/election/life.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

const RULES = { leaseName: 'simulated', drainTimeout: 0, onLost: 'campaign', isGuarded: false } as const;

it('reports the events of a step before those of the steps that its effects cause', () => {
  const newLeader = (identity: string): LifeEffect => ({
    do: 'tell',
    event: { type: 'newLeader', identity },
  });
  // Without work, awaitIdle causes the next step at once.
  const effects = (type: string): LifeEffect[] => {
    if (type === 'begin') return [newLeader('first'), { do: 'awaitIdle' }, newLeader('second')];
    return type === 'workIdle' ? [newLeader('third')] : [];
  };
  const driver = new Driver<Driven, { type: 'begin' }, { do: 'nothing' }>({
    leaseName: 'simulated',
    identity: 'baz',
    clock: new SimulatedTime().clock(),
    initial: { life: newLife(RULES), wakeAt: NEVER },
    step: (state, { type }: ({ type: 'begin' } | LifeEvent) & { at: Reading }) => ({
      state,
      effects: effects(type),
    }),
    describe: () => ({ kind: 'idle' }),
    perform: () => undefined,
  });
  const told: unknown[] = [];
  void driver.run(
    new AbortController().signal,
    (event) => told.push(event.type === 'newLeader' ? event.identity : event.type),
    () => {
      driver.feed({ type: 'begin' });
      return () => undefined;
    },
  );
  expect(told).toEqual(['first', 'second', 'third']);
});
