import type { Clock } from './clock.js';

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
export async function bounded<T>(
  { signal, deadline }: Bounds,
  begin: (signal: AbortSignal) => PromiseLike<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const onAbort = (): void => {
    controller.abort(signal?.reason);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  const disarm = deadline?.clock.setTimer(deadline.ms, () => {
    controller.abort(deadline.error());
  });
  const ended = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => {
      reject(controller.signal.reason as Error);
    });
  });
  try {
    return await Promise.race([begin(controller.signal), ended]);
  } finally {
    disarm?.();
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Waits `ms` milliseconds of `clock`, at most until `signal` fires. Never rejects. */
export async function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      disarm();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const disarm = clock.setTimer(ms, end);
    signal?.addEventListener('abort', end, { once: true });
  });
}
