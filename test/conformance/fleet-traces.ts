/** Has the checker follow each process of simulated fleets. */
import type { ElectionTrace } from '../../lib/election/index.js';
import type { simulate, SimulationOptions } from '../../lib/testing/simulation/index.js';
import { Checker, Unexplained } from './checker.js';
import type { Transition } from './transitions.js';

/** What the checker has found in some fleets. */
export interface Findings {
  readonly steps: number;
  /** How often each transition was used. */
  readonly used: ReadonlyMap<Transition, number>;
  /** The first step of each process that the rules do not explain, in the order in which they happened. */
  readonly unexplained: readonly {
    readonly seed: number;
    readonly process: string;
    readonly error: Unexplained;
  }[];
}

/** Checks a trace from its first step to the first that the rules do not explain. */
export class Follower {
  /** Undefined until the first step. */
  checker: Checker | undefined;
  unexplained: Unexplained | undefined;
  steps = 0;

  readonly trace: ElectionTrace = (event, effects, { config, wakeAt }) => {
    if (this.unexplained !== undefined) return;
    this.checker ??= new Checker(config);
    this.steps += 1;
    try {
      this.checker.check({ event, effects, wakeAt });
    } catch (error) {
      if (!(error instanceof Unexplained)) throw error;
      this.unexplained = error;
    }
  };
}

/** @param run `simulate()`, of this package or of one with a planted fault. */
export async function checkFleets(run: typeof simulate, options: SimulationOptions): Promise<Findings> {
  const used = new Map<Transition, number>();
  const unexplained: Findings['unexplained'][number][] = [];
  let steps = 0;
  let followers: [process: string, follower: Follower][] = [];
  await run({
    ...options,
    traceOf: (process) => {
      const follower = new Follower();
      followers.push([process, follower]);
      return follower.trace;
    },
    onSeed: ({ seed }) => {
      for (const [process, { checker, unexplained: error, steps: count }] of followers) {
        steps += count;
        addUses(used, checker?.used);
        if (error !== undefined) unexplained.push({ seed, process, error });
      }
      followers = [];
    },
  });
  return { steps, used, unexplained };
}

/** Adds the uses of transitions. */
export function addUses(
  sum: Map<Transition, number>,
  more: ReadonlyMap<Transition, number> = new Map(),
): void {
  for (const [transition, times] of more) sum.set(transition, (sum.get(transition) ?? 0) + times);
}

/** The findings as text, one paragraph for each step that is not explained. */
export function textOf({ unexplained }: Findings): string {
  return unexplained
    .map(({ seed, process, error }) => `seed ${String(seed)}, ${process}: ${error.message}`)
    .join('\n\n');
}
