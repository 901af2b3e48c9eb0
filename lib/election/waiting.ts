import { after, type Clock, type Disposer, type MonotonicMs } from './clock.js';

/** The bounds of a wait. */
export interface Bounds {
  /** Ends the wait when it fires; the wait rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Ends the wait after `ms` milliseconds of `clock`; the wait rejects with `error()`. */
  readonly deadline?: { readonly clock: Clock; readonly ms: number; readonly error: () => Error } | undefined;
}

/**
 * Settles as the promise of `begin` does, or rejects as soon as a bound is reached. `begin` gets a signal that fires then, but
 * the wait ends whether or not it listens. `begin` is not called if the signal has already fired. All timers and listeners
 * are removed when the wait ends.
 */
export async function bounded<T>(bounds: Bounds, begin: (signal: AbortSignal) => PromiseLike<T>): Promise<T> {
  if (bounds.signal?.aborted === true) throw bounds.signal.reason;
  // Without a deadline the caller's own signal is enough.
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
 * A signal that fires when a bound is reached, with the reason of the bounds' signal or the deadline's error. For operations
 * that must be awaited to their end, such as a request that must say whether it was sent. `dispose` removes the timer and the
 * listener.
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

/** Many listeners that share one connection to what they listen to. It exists while there is a listener. */
class Audience {
  readonly #connect: (call: () => void) => Disposer;
  readonly #listeners = new Set<{ readonly call: () => void }>();
  #disconnect: Disposer | undefined;

  constructor(connect: (call: () => void) => Disposer) {
    this.#connect = connect;
  }

  /** The audience of `source`, made with `connect` if there is none yet. */
  static of<K extends object>(
    audiences: WeakMap<K, Audience>,
    source: K,
    connect: (source: K, call: () => void) => Disposer,
  ): Audience {
    const present = audiences.get(source);
    if (present !== undefined) return present;
    const made = new Audience((call) => {
      const disconnect = connect(source, call);
      return () => {
        disconnect();
        // An entry in a WeakMap survives the collections of the young generation, and there is one for each request.
        audiences.delete(source);
      };
    });
    audiences.set(source, made);
    return made;
  }

  add(call: () => void): Disposer {
    const listener = { call };
    this.#listeners.add(listener);
    this.#disconnect ??= this.#connect(this.#callAll);
    return () => {
      if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return;
      this.#disconnect?.();
      this.#disconnect = undefined;
    };
  }

  readonly #callAll = (): void => {
    for (const listener of [...this.#listeners]) {
      // An earlier listener may have removed this one.
      if (!this.#listeners.has(listener)) continue;
      try {
        listener.call();
      } catch (error) {
        // As with any event target, an error of one listener does not affect the others.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  };
}

/** Node warns of more than ten listeners to a signal, but a thousand elections may end by one. */
const ofSignals = new WeakMap<AbortSignal, Audience>();

/** Calls `listener` once when `signal` fires, or now if it has fired. The returned function removes the listener. */
export function onAbort(signal: AbortSignal, listener: () => void): Disposer {
  if (!signal.aborted) return Audience.of(ofSignals, signal, connectToSignal).add(listener);
  listener();
  return () => undefined;
}

function connectToSignal(signal: AbortSignal, call: () => void): Disposer {
  signal.addEventListener('abort', call, { once: true });
  return () => {
    signal.removeEventListener('abort', call);
  };
}

/** Waits `ms` milliseconds of `clock`, or until `signal` fires. Never rejects. */
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

const COMPARED_EACH_MS = 1_000;
/** A smaller difference of the two clocks is ignored. */
const APART_MS = 20;

const ofClocks = new WeakMap<Clock, Audience>();

/**
 * Calls `listener` each time the wall clock and the monotonic clock have moved apart: the machine was suspended, which stops
 * the monotonic clock and timers, or the wall clock was set. One timer per clock compares them once a second while there is
 * a listener. The returned function removes the listener.
 */
export function onClocksApart(clock: Clock, listener: () => void): Disposer {
  return Audience.of(ofClocks, clock, compareClocks).add(listener);
}

function compareClocks(clock: Clock, call: () => void): Disposer {
  const difference = (): number => clock.date() - clock.now();
  let known = difference();
  const alarm = new Alarm(clock, () => {
    const present = difference();
    const areApart = Math.abs(present - known) > APART_MS;
    if (areApart) known = present;
    compareLater();
    if (areApart) call();
  });
  const compareLater = (): void => {
    alarm.set(after(clock.now(), COMPARED_EACH_MS));
  };
  compareLater();
  return () => {
    alarm.clear();
  };
}

/** A single timer that can be moved. To move it to a later instant costs nothing: a follower does so with each renewal. */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  /** When it rings; undefined while it is not set. */
  #at: MonotonicMs | undefined;
  /** When its timer fires: then or before. Undefined without a timer. */
  #firesAt: MonotonicMs | undefined;
  #cancel: Disposer = () => undefined;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings once, at `at`, instead of at the instant set before. Never rings for an infinite instant. */
  set(at: MonotonicMs): void {
    if (at === Number.POSITIVE_INFINITY) {
      this.clear();
      return;
    }
    this.#at = at;
    if (this.#firesAt === undefined || this.#firesAt > at) this.#setTimer(at);
  }

  /** Cancels the timer. */
  clear(): void {
    this.#at = undefined;
    this.#firesAt = undefined;
    this.#cancel();
  }

  #setTimer(at: MonotonicMs): void {
    this.#cancel();
    this.#firesAt = at;
    this.#cancel = this.#clock.setTimer(at - this.#clock.now(), () => {
      this.#firesAt = undefined;
      if (this.#at !== undefined && this.#clock.now() < this.#at) {
        this.#setTimer(this.#at);
        return;
      }
      this.#at = undefined;
      this.#ring();
    });
  }
}
