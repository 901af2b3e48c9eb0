import { setTimeout as pause } from 'node:timers/promises';
import { Contest } from './contest.js';
import type { Side } from './contenders.js';
import type { Surroundings } from './surroundings.js';
import { now } from './until.js';

/** How many processes start at the same time. More would only wait for each other. */
const STARTED_AT_ONCE = 4;
/** The time between two hand-overs, so that they do not disturb each other. */
const GAP_MS = 100;

/** Contests of several sides. All processes are started before anything is measured. */
export class Fleet {
  readonly contests: readonly Contest[];
  #filledAt = 0;

  constructor(surroundings: Surroundings, name: string, sides: readonly (readonly [Side, leases: number])[]) {
    const most = Math.max(...sides.map(([, leases]) => leases));
    // The sides take turns, so that a disturbance of the machine affects all of them.
    this.contests = Array.from({ length: most }, (_, index) =>
      sides
        .filter(([, leases]) => index < leases)
        .map(([side]) => {
          const lease = `${name}-${side.name.toLowerCase().replaceAll(/[^a-z]+/g, '-')}-${String(index)}`;
          return new Contest(side, lease.replaceAll('--', '-'), surroundings.credentials);
        }),
    ).flat();
  }

  /** Starts the missing processes of these contests. */
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

  /** Waits until the youngest process has this age. */
  async age(seconds: number, onSecond: (left: number) => void): Promise<void> {
    for (;;) {
      const leftMs = this.#filledAt + seconds * 1000 - now();
      if (leftMs <= 0) return;
      onSecond(Math.ceil(leftMs / 1000));
      await pause(Math.min(leftMs, 1_000));
    }
  }

  /** Starts `work` on each contest shortly after the one before, and waits for all. */
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
