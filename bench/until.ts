import { setTimeout as pause } from 'node:timers/promises';
import type { Contender, ContenderEvent } from '../test/rig/contender.js';

/** The machine's monotonic clock, which all contenders use, in milliseconds. */
export function now(): number {
  return toMs(process.hrtime.bigint());
}

export function toMs(ns: bigint): number {
  return Number(ns) / 1e6;
}

/** When a contender first reported `event` after `sinceMs`. */
export function saidAt(
  { events }: Contender,
  event: ContenderEvent['event'],
  sinceMs = 0,
): number | undefined {
  const said = events.find((one) => one.event === event && toMs(one.monotonicNs) > sinceMs);
  return said && toMs(said.monotonicNs);
}

/** The first result of `look`, which is called after each output of a contender; undefined if there is none in time. */
export async function until<T>(
  contenders: readonly Contender[],
  withinMs: number,
  look: () => T | undefined,
): Promise<T | undefined> {
  const over = new AbortController();
  const unobserve: (() => void)[] = [];
  const found = new Promise<T>((resolve) => {
    const tryIt = (): void => {
      const result = look();
      if (result !== undefined) resolve(result);
    };
    for (const contender of contenders) unobserve.push(contender.observe(tryIt));
    tryIt();
  });
  try {
    return await Promise.race([found, pause(withinMs, undefined, { signal: over.signal })]);
  } finally {
    over.abort();
    for (const stop of unobserve) stop();
  }
}

/** Like `until`. @throws Error with the last output of the contenders, if there is no result in time. */
export async function demand<T>(
  what: string,
  contenders: readonly Contender[],
  withinMs: number,
  look: () => T | undefined,
): Promise<T> {
  const found = await until(contenders, withinMs, look);
  if (found !== undefined) return found;
  const logs = contenders.map(({ identity, log }) => `${identity}: ${log || '(silent)'}`).join('\n');
  throw new Error(`Timed out after ${String(withinMs / 1000)} s waiting for ${what}.\n${logs}`);
}
