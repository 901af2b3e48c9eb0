import { after, type Clock, type Disposer, type MonotonicMs } from './clock.js';

/** What ends a wait before what it waits for has settled. */
export interface Bounds {
  /** Ends the wait when it fires; the wait rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Ends the wait after `ms` milliseconds of `clock`; the wait rejects with `error()`. */
  readonly deadline?: { readonly clock: Clock; readonly ms: number; readonly error: () => Error } | undefined;
}

/**
 * Waits for what `begin` starts, at most until a bound ends the wait. `begin` is given a signal that fires then, but is not
 * waited for any longer, whether or not it listens. Nothing is begun if the signal has fired already. Every timer and
 * listener is removed when the wait ends.
 */
export async function bounded<T>(bounds: Bounds, begin: (signal: AbortSignal) => PromiseLike<T>): Promise<T> {
  if (bounds.signal?.aborted === true) throw bounds.signal.reason;
  // Without a deadline the caller's own signal will do.
  const { signal, dispose } =
    bounds.deadline === undefined && bounds.signal !== undefined
      ? { signal: bounds.signal, dispose: undefined }
      : boundSignal(bounds);
  let ignore: Disposer = () => undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      begin(signal).then(resolve, reject);
      ignore = onAbort(signal, () => {
        reject(signal.reason as Error);
      });
    });
  } finally {
    ignore();
    dispose?.();
  }
}

/**
 * A signal that fires when a bound is reached, with the reason of the bounds' signal or the deadline's error. For what is
 * waited for until it has ended by itself, such as a request that must say whether it was sent. `dispose` removes the timer
 * and the listener.
 */
export function boundSignal({ signal, deadline }: Bounds): {
  readonly signal: AbortSignal;
  readonly dispose: Disposer;
} {
  const controller = new AbortController();
  const ignore =
    signal &&
    onAbort(signal, () => {
      controller.abort(signal.reason);
    });
  const disarm = deadline?.clock.setTimer(deadline.ms, () => {
    controller.abort(deadline.error());
  });
  return {
    signal: controller.signal,
    dispose: () => {
      ignore?.();
      disarm?.();
    },
  };
}

/** Those who listen to one signal. Node warns of more than ten listeners, and a thousand elections may end by one signal. */
class Audience {
  static readonly #of = new WeakMap<AbortSignal, Audience>();
  readonly #signal: AbortSignal;
  readonly #listeners = new Set<{ readonly call: () => void }>();

  private constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  static of(signal: AbortSignal): Audience {
    const present = Audience.#of.get(signal);
    if (present !== undefined) return present;
    const made = new Audience(signal);
    Audience.#of.set(signal, made);
    return made;
  }

  add(call: () => void): Disposer {
    const listener = { call };
    if (this.#listeners.size === 0) this.#signal.addEventListener('abort', this.#fire, { once: true });
    this.#listeners.add(listener);
    return () => {
      if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return;
      this.#signal.removeEventListener('abort', this.#fire);
      // V8 would keep both until it collects the old generation.
      Audience.#of.delete(this.#signal);
    };
  }

  readonly #fire = (): void => {
    for (const listener of [...this.#listeners]) {
      // One may remove another.
      if (!this.#listeners.delete(listener)) continue;
      try {
        listener.call();
      } catch (error) {
        // As for any event target: it is nobody else's.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  };
}

/** Calls `listener` once when `signal` fires, or now if it has fired. The returned function removes the listener. */
export function onAbort(signal: AbortSignal, listener: () => void): Disposer {
  if (!signal.aborted) return Audience.of(signal).add(listener);
  listener();
  return () => undefined;
}

/** Waits `ms` milliseconds of `clock`, at most until `signal` fires. Never rejects. */
export async function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return;
  await new Promise<void>((resolve) => {
    const disarm = clock.setTimer(ms, () => {
      ignore?.();
      resolve();
    });
    const ignore =
      signal &&
      onAbort(signal, () => {
        disarm();
        resolve();
      });
  });
}

/** How often the clocks are compared, and by how much they must have moved apart for that to be told. */
const COMPARED_EACH_MS = 1_000;
const APART_MS = 20;

const comparisons = new WeakMap<Clock, Comparison>();

/**
 * Calls `listener` when the wall clock has gone on without the monotonic one: the machine was suspended, and timers stood
 * still; or the wall clock was set. The clocks are compared once a second, by one timer however many listen, as long as one
 * does. The returned function removes the listener.
 */
export function onClocksApart(clock: Clock, listener: () => void): Disposer {
  const comparison = comparisons.get(clock) ?? new Comparison(clock);
  comparisons.set(clock, comparison);
  return comparison.add(listener);
}

class Comparison {
  readonly #clock: Clock;
  readonly #listeners = new Set<{ readonly call: () => void }>();
  readonly #alarm: Alarm;
  /** By how much the wall clock is ahead, when that was told last. */
  #ahead = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#alarm = new Alarm(clock, () => {
      this.#compare();
    });
  }

  add(call: () => void): Disposer {
    if (this.#listeners.size === 0) {
      this.#ahead = this.#difference();
      this.#setAlarm();
    }
    const listener = { call };
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#alarm.clear();
    };
  }

  #compare(): void {
    const ahead = this.#difference();
    const areApart = Math.abs(ahead - this.#ahead) > APART_MS;
    if (areApart) this.#ahead = ahead;
    this.#setAlarm();
    if (!areApart) return;
    // One may remove another.
    for (const listener of [...this.#listeners]) if (this.#listeners.has(listener)) listener.call();
  }

  #difference(): number {
    return this.#clock.date() - this.#clock.now();
  }

  #setAlarm(): void {
    this.#alarm.set(after(this.#clock.now(), COMPARED_EACH_MS));
  }
}

/** One timer that is moved, never multiplied. */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  /** When it rings; undefined while it is not set. */
  #at: MonotonicMs | undefined;
  #cancel: Disposer = () => undefined;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings once, at `at`; an earlier setting is forgotten. Never, for an infinite instant. */
  set(at: MonotonicMs): void {
    if (this.#at === at) return;
    this.clear();
    if (at === Number.POSITIVE_INFINITY) return;
    this.#at = at;
    this.#cancel = this.#clock.setTimer(at - this.#clock.now(), () => {
      this.#at = undefined;
      this.#ring();
    });
  }

  /** Does not ring any more. */
  clear(): void {
    this.#at = undefined;
    this.#cancel();
  }
}
