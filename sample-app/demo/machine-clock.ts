import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds of the machine's monotonic clock, the same in all its processes. */
export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const LOOK_EVERY_MS = 20;

/**
 * Resolves with the result of `look` as soon as that is not undefined.
 *
 * @throws Error when it is still undefined after `withinMs`.
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
