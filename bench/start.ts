/** The time from the start of a process until it is ready (a Nest application: listens) and until it leads a new lease. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Side } from './contenders.js';
import type { Surroundings } from './surroundings.js';
import { demand, now, saidAt } from './until.js';

/** The results of all trials, in milliseconds. */
export interface StartFigures {
  readonly side: string;
  readonly ready: readonly number[];
  /** Empty for an application without an election. */
  readonly leads: readonly number[];
}

const STARTS_WITHIN_MS = 60_000;
/** The time for the system to clean up after the killed process. */
const GAP_MS = 150;

/** @param bare an application without an election, whose trial ends when it is ready. */
export async function measureStart(
  { credentials: [credentials] }: Surroundings,
  sides: readonly Side[],
  bare: Side,
  trials: number,
  onTrial: (trial: number) => void,
): Promise<StartFigures[]> {
  const figures = [bare, ...sides].map((side) => ({
    side,
    ready: [] as number[],
    leads: [] as number[],
  }));
  // The first start is not counted, because it reads files that later ones find in memory.
  for (let trial = 0; trial <= trials; trial += 1) {
    for (const [index, { side, ready, leads }] of figures.entries()) {
      const lease = `start-${String(index)}-${String(trial)}`;
      const startedAt = now();
      const contender = await side.start({ lease, identity: lease, credentials });
      const event = side === bare ? 'ready' : 'started';
      try {
        const at = await demand(
          `${side.name} to start`,
          [contender],
          STARTS_WITHIN_MS,
          () =>
            // Some lead before they listen.
            saidAt(contender, 'ready') && saidAt(contender, event),
        );
        if (trial > 0) ready.push((saidAt(contender, 'ready') ?? at) - startedAt);
        if (trial > 0 && side !== bare) leads.push(at - startedAt);
      } finally {
        await contender.kill();
      }
      await pause(GAP_MS);
    }
    onTrial(trial);
  }
  return figures.map(({ side, ready, leads }) => ({ side: side.name, ready, leads }));
}
