import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SystemClock } from '../../lib/election/index.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe.each([0, 1, 0.3, 999, 1_000.5, 15_000, 2 ** 31 - 2])('a timer of %d ms', (delayMs) => {
  it('fires once, when it is due', () => {
    const clock = new SystemClock();
    const fired: number[] = [];
    const from = clock.now();
    clock.setTimer(delayMs, () => fired.push(clock.now() - from));
    vi.advanceTimersByTime(2 ** 32);
    expect(fired).toHaveLength(1);
    expect(fired[0]).toBeGreaterThanOrEqual(delayMs);
    expect(fired[0]).toBeLessThanOrEqual(delayMs + 1);
  });

  it.each([0, 0.5, 0.999])('does not fire when it is removed after %d of that time', (part) => {
    const clock = new SystemClock();
    const fire = vi.fn();
    const remove = clock.setTimer(delayMs, fire);
    if (part > 0 && delayMs > 1) vi.advanceTimersByTime(Math.floor(delayMs * part));
    remove();
    vi.advanceTimersByTime(2 ** 32);
    expect(fire).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('sleeps only a small part of a long time at the end, for Linux adds a thousandth of each sleep', () => {
  const sleeps = vi.spyOn(globalThis, 'setTimeout');
  new SystemClock().setTimer(15_000, () => undefined);
  vi.advanceTimersByTime(15_000);
  expect(sleeps.mock.calls.map(([, ms]) => ms)).toEqual([14_925, 75]);
});

it('a timer that is longer than Node allows fires early, when Node allows', () => {
  const clock = new SystemClock();
  const fire = vi.fn();
  clock.setTimer(2 ** 33, fire);
  vi.advanceTimersByTime(2 ** 31);
  expect(fire).toHaveBeenCalledOnce();
});
