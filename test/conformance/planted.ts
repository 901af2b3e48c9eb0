/** Has the checker look for the faults of mutants.ts, in the fleets of a package with the fault. */
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import type * as Simulation from '../../lib/testing/simulation/index.js';
import { plant } from '../simulation/plant.js';
import { checkFleets, type Findings } from './fleet-traces.js';
import type { RuleBreaker } from './mutants.js';

const SEEDS = 400;

/** Defines a test for each fault: the checker finds a step that breaks that rule. A fault may break others, too. */
export function theCheckerFinds(breakers: readonly RuleBreaker[], directory: string): void {
  it.each(breakers.map((breaker, index) => ({ ...breaker, index })))(
    'rule $rule: $what',
    async (breaker) => {
      const copy = plant(breaker, join(directory, String(breaker.index)));
      const { simulate } = (await import(
        pathToFileURL(resolve(copy, 'testing/simulation/index.js')).href
      )) as typeof Simulation;
      const found = await firstFound(simulate, breaker);
      rmSync(copy, { recursive: true });
      console.log(
        `rule ${String(breaker.rule)}: ${breaker.what} | ${found?.error.message.split('\n')[0] ?? 'not found'}`,
      );
      expect(found?.error.message).toMatch(naming(breaker));
    },
    // A bound in case it hangs.
    600_000,
  );
}

async function firstFound(
  simulate: typeof Simulation.simulate,
  breaker: RuleBreaker,
): Promise<Findings['unexplained'][number] | undefined> {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { unexplained } = await checkFleets(simulate, { from: seed, seeds: 1, faults: breaker.strikes });
    const found = unexplained.find(({ error }) => naming(breaker).test(error.message));
    if (found !== undefined) return found;
  }
  return undefined;
}

function naming({ rule }: RuleBreaker): RegExp {
  return new RegExp(`^Rule ${String(rule)}: `);
}
