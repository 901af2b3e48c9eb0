/** stepDown() of every kind of elector. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  JointElector,
  LeaseElector,
  ScriptedElector,
  SlotElector,
  StaticElector,
  resolveElectionOptions,
  runInTerm,
  type Clock,
  type Elector,
  type LeadershipTerm,
} from '../../lib/election/index.js';
import { SimulatedLease } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

const options = resolveElectionOptions({ leaseName: 'b' }, { leaseNamespace: 'default', identity: 'me' });
const electors: [string, (time: SimulatedTime, clock: Clock) => Elector][] = [
  ['LeaseElector', (time, clock) => new LeaseElector({ lock: lockIn(time), options, clock })],
  ['SlotElector', (time, clock) => new SlotElector({ locks: [lockIn(time), lockIn(time)], options, clock })],
  [
    'JointElector',
    (time, clock) =>
      new JointElector({
        lock: lockIn(time),
        also: { leaseName: 'a', lock: lockIn(time) },
        options,
        clock,
      }),
  ],
  ['StaticElector', (_time, clock) => new StaticElector({ role: 'leader', clock })],
  [
    'ScriptedElector',
    (_time, clock) => {
      const elector = new ScriptedElector({ clock });
      elector.grant();
      return elector;
    },
  ],
];

function lockIn(time: SimulatedTime): ReturnType<SimulatedLease['lock']> {
  return new SimulatedLease(time).lock('me');
}

let stop: AbortController;
beforeEach(() => {
  stop = new AbortController();
});
afterEach(() => {
  stop.abort();
});

describe.each(electors)('%s', (_name, make) => {
  async function leading(): Promise<{ time: SimulatedTime; elector: Elector; term: LeadershipTerm }> {
    const time = new SimulatedTime();
    const elector = make(time, time.clock());
    void elector.run(stop.signal, () => undefined);
    await time.advance(1_000);
    const { state } = elector;
    if (state.kind !== 'leading') throw new Error(`It is ${state.kind}.`);
    return { time, elector, term: state.term };
  }

  it.each([
    [{ cooldown: '1000' }, "cooldown is '1000': it must be a number of milliseconds, 0 or more"],
    [{ cooldown: Number.NaN }, 'cooldown is NaN'],
    [{ cooldown: -1 }, 'cooldown is -1'],
    [{ cooldown: Infinity }, 'cooldown is Infinity'],
    [{ cooldown: 5n }, 'cooldown is 5n'],
    [{ cooldown: null }, 'cooldown is null'],
    [{ coolDown: 5 }, 'coolDown: there is no such option; the options are cooldown'],
    [60_000, 'they are number: they must be an object'],
    [null, 'they are null: they must be an object'],
  ])('refuses %o and continues to lead', async (given, told) => {
    const { elector } = await leading();
    await expect(elector.stepDown(given as never)).rejects.toMatchObject({
      code: 'LEADER_INVALID_OPTIONS',
      message: expect.stringContaining(`The options of stepDown() break a rule:\n  - ${told}`),
    });
    expect(elector.state.kind).toBe('leading');
  });

  it('refuses invalid options while it does not lead, too', async () => {
    const elector = make(new SimulatedTime(), new SimulatedTime().clock());
    await expect(elector.stepDown({ cooldown: Number.NaN })).rejects.toMatchObject({
      code: 'LEADER_INVALID_OPTIONS',
    });
  });

  it('resolves at once while it does not lead', async () => {
    const time = new SimulatedTime();
    const elector = make(time, time.clock());
    void elector.run(stop.signal, () => undefined);
    await elector.stepDown();
  });

  it('does not make work of its term wait for itself', async () => {
    const { time, elector, term } = await leading();
    const leave = term.enter();
    let went = false;
    const working = runInTerm('whatever', term, async () => {
      await elector.stepDown({ cooldown: undefined });
      went = true;
      leave();
    });
    await time.advance(0);
    expect(went).toBe(true);
    await working;
    await time.advance(1_000);
    expect(elector.state.kind).toBe('following');
  });

  it('lets other callers wait for the end of the term', async () => {
    const { time, elector, term } = await leading();
    const leave = term.enter();
    let ended = false;
    void elector.stepDown().then(() => (ended = true));
    await time.advance(1_000);
    expect([ended, elector.state.kind]).toEqual([false, 'handingOver']);
    leave();
    await time.advance(1_000);
    expect([ended, elector.state.kind]).toEqual([true, 'following']);
  });
});
