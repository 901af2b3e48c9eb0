import type { Clock, Disposer, LeaseCall } from '../../election/index.js';

/** How long to wait for an answer, and after a failure. */
export interface Patience {
  readonly clock: Clock;
  /** Milliseconds; an answer is given a second even if this is less. */
  readonly retryPeriod: number;
}

/** A request that is given up when it takes too long, or `signal` fires. */
export async function within<T>(
  { clock, retryPeriod }: Patience,
  request: (call: LeaseCall) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const controller = new AbortController();
  const giveUp = (): void => {
    controller.abort();
  };
  if (signal?.aborted === true) giveUp();
  signal?.addEventListener('abort', giveUp, { once: true });
  const disarm = clock.setTimer(Math.max(retryPeriod, 1_000), giveUp);
  try {
    return await request({ signal: controller.signal, newConnection: false });
  } finally {
    disarm();
    signal?.removeEventListener('abort', giveUp);
  }
}

/** Waits `retryPeriod`, at most until `signal` fires. */
export function pause({ clock, retryPeriod }: Patience, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.setTimer(retryPeriod, done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}

/** A signal that fires `ms` after `begun` has, unless it is disarmed. */
export function overdueAfter(
  clock: Clock,
  ms: number,
  begun: AbortSignal,
): { readonly signal: AbortSignal; readonly disarm: Disposer } {
  const overdue = new AbortController();
  let disarm: Disposer = () => undefined;
  const arm = (): void => {
    disarm = clock.setTimer(ms, () => {
      overdue.abort();
    });
  };
  begun.addEventListener('abort', arm, { once: true });
  return {
    signal: overdue.signal,
    disarm: () => {
      begun.removeEventListener('abort', arm);
      disarm();
    },
  };
}
