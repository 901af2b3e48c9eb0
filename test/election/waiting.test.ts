/** Waits that are bounded by a signal or a deadline, pauses, and shared listeners. */
import { getEventListeners } from 'node:events';
import { beforeEach, describe, expect, it } from 'vitest';
import { boundSignal, bounded, onAbort, pause } from '../../lib/election/internal.js';
import { onClocksApart } from '../../lib/election/waiting.js';
import { SimulatedTime, type SimulatedClock } from '../../lib/testing/index.js';

const reason = new Error('given up');
const late = new Error('too late');
const never = (): Promise<never> => new Promise(() => undefined);

let time: SimulatedTime;
let clock: SimulatedClock;
let caller: AbortController;

beforeEach(() => {
  time = new SimulatedTime();
  clock = time.clock();
  caller = new AbortController();
});

const deadline = (ms: number) => ({ clock, ms, error: () => late });

function expectNothingLeft(): void {
  expect(clock.timers).toBe(0);
  expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
}

describe('a bounded wait', () => {
  it.each([
    ['a promise', () => Promise.resolve('done')],
    ['a thenable', (): PromiseLike<string> => ({ then: (resolve) => Promise.resolve('done').then(resolve) })],
  ])('resolves as %s does, and leaves no timer and no listener', async (_, begin) => {
    await expect(bounded({ signal: caller.signal, deadline: deadline(100) }, begin)).resolves.toBe('done');
    expectNothingLeft();
  });

  it('rejects as the promise does', async () => {
    const broken = new Error('broken');
    const wait = bounded({ signal: caller.signal, deadline: deadline(100) }, () => Promise.reject(broken));
    await expect(wait).rejects.toBe(broken);
    expectNothingLeft();
  });

  it('needs no bound', async () => {
    await expect(bounded({}, () => Promise.resolve('done'))).resolves.toBe('done');
  });

  it('begins at once', () => {
    let begun = false;
    void bounded({}, () => {
      begun = true;
      return never();
    });
    expect(begun).toBe(true);
  });

  it('begins nothing if the signal has already fired', async () => {
    caller.abort(reason);
    let begun = false;
    const wait = bounded({ signal: caller.signal, deadline: deadline(100) }, () => {
      begun = true;
      return never();
    });
    await expect(wait).rejects.toBe(reason);
    expect(begun).toBe(false);
    expectNothingLeft();
  });

  it('ends when the signal fires, even if the operation ignores it', async () => {
    const wait = bounded({ signal: caller.signal, deadline: deadline(100) }, never);
    caller.abort(reason);
    await expect(wait).rejects.toBe(reason);
    expectNothingLeft();
  });

  it('ends when the deadline has passed, not before', async () => {
    let ended = false;
    const wait = bounded({ signal: caller.signal, deadline: deadline(100) }, never).catch(
      (error: unknown) => {
        ended = true;
        return error;
      },
    );
    await time.advance(99);
    expect(ended).toBe(false);
    await time.advance(1);
    expect(ended).toBe(true);
    expect(await wait).toBe(late);
    expectNothingLeft();
  });

  it.each([
    [
      'the signal',
      () => {
        caller.abort(reason);
      },
      reason,
    ],
    ['the deadline', () => time.advance(100), late],
  ] as const)(
    'passes %s on to the operation, and rejects with its reason before the operation can react',
    async (_, end, why) => {
      let given: AbortSignal | undefined;
      const wait = bounded({ signal: caller.signal, deadline: deadline(100) }, (signal) => {
        given = signal;
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reject(new Error('a reaction of its own'));
          });
        });
      }).catch((error: unknown) => error);
      expect(given?.aborted).toBe(false);
      await end();
      expect(await wait).toBe(why);
      expect(given?.reason).toBe(why);
    },
  );

  it('does not pass on a signal that fires after the end', async () => {
    let given: AbortSignal | undefined;
    await bounded({ signal: caller.signal, deadline: deadline(100) }, (signal) => {
      given = signal;
      return Promise.resolve();
    });
    caller.abort(reason);
    await time.advance(200);
    expect(given?.aborted).toBe(false);
  });

  it('ignores a failure of the operation after the wait has ended', async () => {
    let fail: (error: Error) => void = () => undefined;
    const wait = bounded({ signal: caller.signal }, () => new Promise((_, reject) => (fail = reject)));
    caller.abort(reason);
    await expect(wait).rejects.toBe(reason);
    fail(new Error('late'));
    await time.settle();
  });

  it('rejects with an error that is thrown synchronously', async () => {
    const thrown = new Error('thrown');
    const wait = bounded({ signal: caller.signal, deadline: deadline(100) }, () => {
      throw thrown;
    });
    await expect(wait).rejects.toBe(thrown);
    expectNothingLeft();
  });

  it('rejects with an error that is thrown synchronously after firing the signal', async () => {
    const thrown = new Error('thrown');
    const wait = bounded({ signal: caller.signal }, () => {
      caller.abort(reason);
      throw thrown;
    });
    await expect(wait).rejects.toBe(thrown);
    await time.settle();
    expectNothingLeft();
  });

  it.each([
    ['has not fired', false, 'done'],
    ['has fired', true, 'given up'],
  ])('accepts the signal of another library that %s', async (_, aborted, outcome) => {
    const signal = {
      aborted,
      reason,
      addEventListener: () => undefined,
      removeEventListener: () => undefined,
    } as unknown as AbortSignal;
    const wait = bounded({ signal }, () => Promise.resolve('done')).catch(
      (error: unknown) => (error as Error).message,
    );
    expect(await wait).toBe(outcome);
  });
});

describe('a pause', () => {
  it('lasts for the given time', async () => {
    let over = false;
    void pause(clock, 100, caller.signal).then(() => (over = true));
    await time.advance(99);
    expect(over).toBe(false);
    await time.advance(1);
    expect(over).toBe(true);
    expectNothingLeft();
  });

  it('needs no signal', async () => {
    let over = false;
    void pause(clock, 100).then(() => (over = true));
    await time.advance(100);
    expect(over).toBe(true);
    expect(clock.timers).toBe(0);
  });

  it('ends when the signal fires, and does not reject', async () => {
    const wait = pause(clock, 100, caller.signal);
    caller.abort(reason);
    await wait;
    expectNothingLeft();
  });

  it('ends at once if the signal has already fired', async () => {
    caller.abort(reason);
    await pause(clock, 100, caller.signal);
    expectNothingLeft();
  });
});

describe('the signal of some bounds', () => {
  it.each([
    [
      'the signal',
      () => {
        caller.abort(reason);
      },
      reason,
    ],
    ['the deadline', () => time.advance(100), late],
  ] as const)('fires at %s, with its reason', async (_, end, why) => {
    const { signal, dispose } = boundSignal({ signal: caller.signal, deadline: deadline(100) });
    expect(signal.aborted).toBe(false);
    await end();
    expect(signal.reason).toBe(why);
    dispose();
    expectNothingLeft();
  });

  it('has already fired if the signal of the bounds has', () => {
    caller.abort(reason);
    const { signal, dispose } = boundSignal({ signal: caller.signal, deadline: deadline(100) });
    expect(signal.reason).toBe(reason);
    dispose();
    expectNothingLeft();
  });

  it('does not fire after it was disposed', async () => {
    const { signal, dispose } = boundSignal({ signal: caller.signal, deadline: deadline(100) });
    dispose();
    expectNothingLeft();
    caller.abort(reason);
    await time.advance(200);
    expect(signal.aborted).toBe(false);
  });
});

describe('a listener for the end of a signal', () => {
  let calls: number;
  const listener = (): void => {
    calls += 1;
  };

  beforeEach(() => {
    calls = 0;
  });

  it('is called when the signal fires', () => {
    onAbort(caller.signal, listener);
    expect(calls).toBe(0);
    caller.abort(reason);
    expect(calls).toBe(1);
    expectNothingLeft();
  });

  it('is called at once if the signal has already fired', () => {
    caller.abort(reason);
    const remove = onAbort(caller.signal, listener);
    expect(calls).toBe(1);
    remove();
    expectNothingLeft();
  });

  it('is not called after it was removed', () => {
    const remove = onAbort(caller.signal, listener);
    remove();
    expectNothingLeft();
    caller.abort(reason);
    expect(calls).toBe(0);
  });

  it('shares one listener of the signal with many others', () => {
    const all = Array.from({ length: 1_000 }, () => onAbort(caller.signal, listener));
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(1);
    for (const remove of all.slice(1)) remove();
    caller.abort(reason);
    expect(calls).toBe(1);
    expectNothingLeft();
  });

  it('is not called after another listener has removed it', () => {
    onAbort(caller.signal, () => {
      remove();
    });
    const remove = onAbort(caller.signal, listener);
    caller.abort(reason);
    expect(calls).toBe(0);
  });
});

describe('clocks that move apart', () => {
  const told: string[] = [];
  const listen = (name: string): (() => void) => onClocksApart(clock, () => void told.push(name));

  beforeEach(() => {
    told.length = 0;
  });

  it('are noticed within a second, by one timer for all who listen', async () => {
    const ignore = [listen('one'), listen('two')];
    expect(clock.timers).toBe(1);
    await time.advance(10_000);
    expect(told).toEqual([]);
    clock.suspend();
    await time.advance(60_000);
    clock.resume();
    await time.advance(1_000);
    expect(told).toEqual(['one', 'two']);
    await time.advance(10_000);
    expect(told).toHaveLength(2);
    for (const each of ignore) each();
    expect(clock.timers).toBe(0);
  });

  it('slowly are noticed when the difference is 20 ms', async () => {
    clock = time.clock({ rate: 0.999 });
    const ignore = listen('one');
    await time.advance(15_000);
    expect(told).toEqual([]);
    await time.advance(10_000);
    expect(told).toEqual(['one']);
    ignore();
  });

  it('while nobody listens are not reported later', async () => {
    listen('one')();
    clock.suspend();
    await time.advance(60_000);
    clock.resume();
    const ignore = listen('two');
    await time.advance(5_000);
    expect(told).toEqual([]);
    ignore();
  });

  it('are not reported to a listener that another one has just removed', async () => {
    const ignoreOther = (): void => {
      ignore();
    };
    onClocksApart(clock, ignoreOther);
    const ignore = listen('one');
    clock.suspend();
    await time.advance(60_000);
    clock.resume();
    await time.advance(1_000);
    expect(told).toEqual([]);
  });
});
