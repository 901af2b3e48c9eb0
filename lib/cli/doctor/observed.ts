import { boundSignal, isLeaderError, pause, systemClock, type LeaderError } from '../../election/internal.js';
import type { LeaseFacts, LeaseObserver } from '../../kubernetes/internal.js';

/** What a Lease showed while it was watched. */
export interface Observed {
  /** Why it could not be watched. */
  readonly problem: LeaderError | undefined;
  /** Until the watch was open; undefined if it was not. */
  readonly openedMs: number | undefined;
  /** Until the watch showed the Lease as it is; undefined if it did not. */
  readonly shownMs: number | undefined;
  /** The Lease at each change, the first as it was. */
  readonly seen: readonly LeaseFacts[];
}

/** Watches one Lease for some time. */
export async function observe(
  observer: LeaseObserver,
  forMs: number,
  signal: AbortSignal,
): Promise<Observed> {
  const beganAt = systemClock.now();
  const seen: LeaseFacts[] = [];
  let [openedMs, shownMs]: [number?, number?] = [];
  const bound = boundSignal({
    signal,
    deadline: { clock: systemClock, ms: forMs, error: () => new Error('observed') },
  });
  const problem = await observer
    .watch(
      undefined,
      {
        opened: () => {
          openedMs = systemClock.now() - beganAt;
        },
        change: ({ kind, lease }) => {
          shownMs ??= systemClock.now() - beganAt;
          if (kind === 'seen') seen.push(lease);
        },
      },
      bound.signal,
    )
    .then(
      () => undefined,
      (error: unknown) => {
        if (!isLeaderError(error)) throw error;
        return error;
      },
    );
  // The server may end the watch earlier.
  await pause(systemClock, problem === undefined ? forMs - (systemClock.now() - beganAt) : 0, signal);
  bound.dispose();
  return { problem, openedMs, shownMs, seen };
}
