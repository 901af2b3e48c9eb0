import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds of the machine's monotonic clock, the same in all its processes. */
export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const LOOK_EVERY_MS = 20;

/**
 * Resolves with what `look` gives as soon as that is something.
 *
 * @throws Error when it is nothing for `withinMs`.
 */
export async function until<T>(what: string, withinMs: number, look: () => T | undefined): Promise<T> {
  const deadline = machineNow() + withinMs;
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    if (machineNow() > deadline) throw new Error(`Waited ${String(withinMs / 1000)} s in vain for: ${what}`);
    await pause(LOOK_EVERY_MS);
  }
}
