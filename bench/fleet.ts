import { setTimeout as pause } from 'node:timers/promises';
import { Contest } from './contest.js';
import type { Side } from './contenders.js';
import type { Surroundings } from './surroundings.js';
import { now } from './until.js';

/** So many are started at the same time: more would only wait for each other. */
const STARTED_AT_ONCE = 4;
/** From one hand-over to the next, so that they do not disturb each other. */
const GAP_MS = 120;

/** Contests of several sides. All processes are started before anything is measured. */
export class Fleet {
  readonly contests: readonly Contest[];
  #filledAt = 0;

  constructor(surroundings: Surroundings, name: string, sides: readonly (readonly [Side, leases: number])[]) {
    const most = Math.max(...sides.map(([, leases]) => leases));
    // In turn, so that what disturbs the machine for a while disturbs all sides.
    this.contests = Array.from({ length: most }, (_, index) =>
      sides
        .filter(([, leases]) => index < leases)
        .map(([side]) => {
          const lease = `${name}-${side.name.toLowerCase().replaceAll(/[^a-z]+/g, '-')}-${String(index)}`;
          return new Contest(side, lease.replaceAll('--', '-'), surroundings.credentials);
        }),
    ).flat();
  }

  /** Starts what is missing in these contests. */
  async fill(contests: readonly Contest[], onFilled: (count: number) => void): Promise<void> {
    const waiting = [...contests];
    let filled = 0;
    const work = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        await next.fill();
        filled += 1;
        onFilled(filled);
      }
    };
    await Promise.all(Array.from({ length: STARTED_AT_ONCE }, work));
    this.#filledAt = now();
  }

  /** Until the youngest of the processes is that old. */
  async age(seconds: number, onSecond: (left: number) => void): Promise<void> {
    for (;;) {
      const leftMs = this.#filledAt + seconds * 1000 - now();
      if (leftMs <= 0) return;
      onSecond(Math.ceil(leftMs / 1000));
      await pause(Math.min(leftMs, 1_000));
    }
  }

  /** Does that with each, beginning one shortly after the other. */
  async inTurn(contests: readonly Contest[], work: (contest: Contest) => Promise<void>): Promise<void> {
    const works: Promise<void>[] = [];
    for (const contest of contests) {
      works.push(work(contest));
      await pause(GAP_MS);
    }
    await Promise.all(works);
  }

  async end(): Promise<void> {
    await Promise.all(this.contests.map((contest) => contest.end()));
  }
}
