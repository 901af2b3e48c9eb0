/** The count of the work in terms, and the timer that can be moved. */
import { describe, expect, it } from 'vitest';
import type { MonotonicMs } from '../../lib/election/clock.js';
import { runInTerm } from '../../lib/election/current-term.js';
import type { LeadershipTerm } from '../../lib/election/index.js';
import { GatedWork } from '../../lib/election/term.js';
import { Alarm } from '../../lib/election/waiting.js';
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
