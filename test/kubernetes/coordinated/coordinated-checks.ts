/** The tests of the seeded fleets: with the election as it is, and with a planted fault. */
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import type * as Coordinated from '../../../lib/kubernetes/coordinated/coordinated-elector.js';
import { plant } from '../../simulation/plant.js';
import { coordinatedFaults, runCoordinatedSeed } from './coordinated-fleet.js';
import type { CoordinatedMutant } from './coordinated-mutants.js';

/** A bound in case it hangs. */
const LONGEST_MS = 900_000;

/** Defines a test: no fleet of these seeds breaks a guarantee. */
export function keepsEveryGuarantee(from: number, seeds: number): void {
  it(
    `keeps every guarantee on ${String(seeds)} seeds`,
    async () => {
      const struck = new Set<string>();
      let [events, terms, faults] = [0, 0, 0];
      for (let seed = from; seed < from + seeds; seed++) {
        const report = await runCoordinatedSeed(seed);
        expect(report.violation, `seed ${String(seed)}\n${report.story.join('\n')}`).toBeUndefined();
        events += report.events;
        terms += report.terms;
        for (const [kind, count] of report.faults) {
          struck.add(kind);
          faults += count;
        }
      }
      console.log(
        `${String(seeds)} seeds, ${String(events)} events, ${String(terms)} terms, ${String(faults)} faults`,
      );
      expect([...struck].sort()).toEqual([...coordinatedFaults].sort());
    },
    LONGEST_MS,
  );
}

/** Defines a test for each fault: a fleet breaks that guarantee. */
export function theFleetsFind(mutants: readonly CoordinatedMutant[], seeds: number, directory: string): void {
  it.each(mutants.map((mutant, index) => ({ ...mutant, index })))(
    '$breaks: $what',
    async (mutant) => {
      const copy = plant(mutant, join(directory, String(mutant.index)));
      const path = resolve(copy, 'kubernetes/coordinated/coordinated-elector.js');
      const { CoordinatedElector } = (await import(pathToFileURL(path).href)) as typeof Coordinated;
      const found = await firstSeedThatBreaks(mutant, seeds, CoordinatedElector);
      rmSync(copy, { recursive: true });
      console.log(`${mutant.breaks}: ${mutant.what} | ${String(found)}`);
      expect(found, 'the first seed that catches it').toBeDefined();
    },
    LONGEST_MS,
  );
}

async function firstSeedThatBreaks(
  { breaks, faults }: CoordinatedMutant,
  seeds: number,
  Elector: typeof Coordinated.CoordinatedElector,
): Promise<number | undefined> {
  for (let seed = 1; seed <= seeds; seed++) {
    const { violation } = await runCoordinatedSeed(seed, Elector, faults);
    if (violation?.guarantee === breaks) return seed;
  }
  return undefined;
}
