/** The handle on a term, the count of the work in terms, and waits with a bound. */
import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { MonotonicMs, WallMs } from '../../lib/election/clock.js';
import { runInTerm } from '../../lib/election/current-term.js';
import type { LeadershipTerm } from '../../lib/election/index.js';
import { newLife, type Life, type Phase, type Term } from '../../lib/election/life.js';
import { GatedWork, TermHandle, type TermOwner } from '../../lib/election/term.js';
import { Alarm, bounded } from '../../lib/election/waiting.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

const termOf = (leaseName: string): LeadershipTerm => ({ leaseName }) as LeadershipTerm;
const [first, second] = [termOf('first'), termOf('second')];

describe('work', () => {
  it('is counted until it has ended, however often that is said', () => {
    const work = new GatedWork();
    const [leaveOne, leaveOther] = [work.enter(), work.enter()];
    expect(work.running).toBe(2);
    leaveOne();
    leaveOne();
    expect(work.running).toBe(1);
    leaveOther();
    expect(work.running).toBe(0);
  });

  it('calls back once when none is left, and at once if there is none', () => {
    const work = new GatedWork();
    let calls = 0;
    const count = (): void => {
      calls += 1;
    };
    work.whenIdle(count);
    expect(calls).toBe(1);
    const [leaveOne, leaveOther] = [work.enter(), work.enter()];
    work.whenIdle(count);
    leaveOne();
    expect(calls).toBe(1);
    leaveOther();
    expect(calls).toBe(2);
    work.enter()();
    expect(calls).toBe(2);
  });

  it('of an earlier term is work that a hand-over waits for, as long as it runs', () => {
    const work = new GatedWork();
    const isOfSecond = (): boolean => runInTerm('bills', first, () => work.isOfCaller(second));
    const leave = work.enter();
    expect(isOfSecond()).toBe(false);
    work.outlive(first);
    expect(isOfSecond()).toBe(true);
    expect(work.isOfCaller(second)).toBe(false);
    leave();
    expect(isOfSecond()).toBe(false);
    work.outlive(first);
    expect(isOfSecond()).toBe(false);
    expect(runInTerm('bills', second, () => work.isOfCaller(second))).toBe(true);
  });
});

describe('an alarm', () => {
  const at = (ms: number): MonotonicMs => ms as MonotonicMs;
  function alarmed() {
    const time = new SimulatedTime();
    const rings: number[] = [];
    let timers = 0;
    const clock = time.clock();
    const { setTimer } = clock;
    clock.setTimer = (...args) => {
      timers += 1;
      return setTimer.apply(clock, args);
    };
    const alarm = new Alarm(clock, () => rings.push(time.now));
    return { time, rings, alarm, timers: () => timers };
  }

  it('rings once, at its instant', async () => {
    const { time, rings, alarm } = alarmed();
    alarm.set(at(100));
    await time.advance(1_000);
    expect(rings).toEqual([100]);
    expect(time.pending).toBe(0);
    alarm.set(at(1_500));
    await time.advance(1_000);
    expect(rings).toEqual([100, 1_500]);
  });

  it('that is set to a later instant rings then, and needs no other timer until the first has fired', async () => {
    const { time, rings, alarm, timers } = alarmed();
    for (const instant of [100, 100, 200, 300]) alarm.set(at(instant));
    expect(timers()).toBe(1);
    await time.advance(1_000);
    expect(rings).toEqual([300]);
    expect(timers()).toBe(2);
  });

  it('that is set to an earlier instant rings then only', async () => {
    const { time, rings, alarm } = alarmed();
    alarm.set(at(300));
    alarm.set(at(100));
    expect(time.pending).toBe(1);
    await time.advance(1_000);
    expect(rings).toEqual([100]);
  });

  it.each<[string, (alarm: Alarm) => void]>([
    ['is cleared', (alarm) => alarm.clear()],
    ['is set to never', (alarm) => alarm.set(at(Infinity))],
  ])('that %s does not ring, and needs no timer', async (_, silence) => {
    const { time, rings, alarm } = alarmed();
    alarm.set(at(100));
    silence(alarm);
    expect(time.pending).toBe(0);
    await time.advance(1_000);
    expect(rings).toEqual([]);
    alarm.set(at(1_100));
    await time.advance(1_000);
    expect(rings).toEqual([1_100]);
  });
});

it('a wait with a bound leaves no listener behind', async () => {
  const { signal } = new AbortController();
  await bounded({ signal }, () => Promise.resolve());
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

describe('the handle on a term', () => {
  const clock = new SimulatedTime().clock();
  const validity = {
    sentOn: clock.date(),
    until: 10_000 as MonotonicMs,
    untilDate: (clock.date() + 10_000) as WallMs,
  };
  const term: Term = {
    number: 1,
    fencingToken: 7n,
    slot: 0,
    startedAt: clock.date(),
    beganAt: clock.now(),
    validity,
    renewAfter: 3_000,
  };
  const rules = { leaseName: 'simulated', drainTimeout: 0, onLost: 'campaign', isGuarded: false } as const;
  /** A handle whose election is in this phase. */
  function handleIn(phase: Phase) {
    const life: Life = { ...newLife(rules), phase };
    let looks = 0;
    let confirms = 0;
    const owner: TermOwner = {
      clock,
      leaseName: 'simulated',
      identity: 'baz',
      work: new GatedWork(),
      life,
      look: () => {
        looks += 1;
      },
      confirm: () => {
        confirms += 1;
        return Promise.resolve();
      },
    };
    return { handle: new TermHandle(term, owner), owner, looks: () => looks, confirms: () => confirms };
  }
  const handedOver: Phase = {
    kind: 'handingOver',
    term,
    reason: 'steppedDown',
    cooldown: 0,
    announced: true,
    awaiting: 'work',
  };

  it('has the identity of the process, and what is left of the validity', () => {
    const { handle } = handleIn({ kind: 'leading', term });
    expect(handle.identity).toBe('baz');
    expect(handle.isOver).toBe(false);
    expect(handle.remaining()).toBe(10_000);
  });

  it('of a term that is handed over is over, although its validity lasts', () => {
    const { handle } = handleIn(handedOver);
    expect(handle.isOver).toBe(true);
    expect(handle.remaining()).toBe(0);
    expect(() => handle.enter()).toThrow();
  });

  it.each<[string, Phase]>([
    ['is followed by none', { kind: 'following' }],
    [
      'is followed by another',
      { kind: 'leading', term: { ...term, number: 2, validity: { ...validity, sentOn: 5 as WallMs } } },
    ],
  ])('of a term that %s keeps the time of its own renewal', (_, phase) => {
    expect(handleIn(phase).handle.renewedAt).toBe(validity.sentOn);
  });

  it('of a term that has run out looks at the clocks once, and gives the reason', async () => {
    const { handle, owner, looks } = handleIn({ kind: 'following' });
    for (const _ of [1, 2])
      expect(() => handle.throwIfOver()).toThrow(expect.objectContaining({ reason: 'deadline' }));
    expect(looks()).toBe(1);
    await expect(handle.race(new Promise(() => undefined))).rejects.toMatchObject({ reason: 'deadline' });
    expect(owner.work.running).toBe(1);
  });

  it('of a term that has run out rejects what it is given at once, and asks nobody to confirm it', async () => {
    const racing = handleIn({ kind: 'following' }).handle.race(new Promise(() => undefined));
    await expect(racing).rejects.toMatchObject({ reason: 'deadline' });
    const { handle, confirms } = handleIn({ kind: 'following' });
    await expect(handle.confirm()).rejects.toMatchObject({ reason: 'deadline' });
    expect(confirms()).toBe(0);
  });

  it('keeps the reason with which its term was closed', () => {
    const { handle, looks } = handleIn({ kind: 'following' });
    handle.close('superseded');
    handle.close('deadline');
    expect(handle.signal.reason).toMatchObject({ reason: 'superseded' });
    expect(() => handle.throwIfOver()).toThrow(expect.objectContaining({ reason: 'superseded' }));
    expect(looks()).toBe(0);
  });
});
