/** The guarantees of docs/guarantees.md on fleets of coordinated elections, each drawn from a seed. */
import { expect, it } from 'vitest';
import { changedFiles } from '../../simulation/plant.js';
import { keepsEveryGuarantee, theFleetsFind } from './coordinated-checks.js';
import { runCoordinatedSeed } from './coordinated-fleet.js';
import { coordinatedMutants } from './coordinated-mutants.js';

keepsEveryGuarantee(1, 100);

it('a seed is the same each time, and differs from another', async () => {
  const { story } = await runCoordinatedSeed(7);
  expect(story.length).toBeGreaterThan(20);
  expect((await runCoordinatedSeed(7)).story).toEqual(story);
  expect((await runCoordinatedSeed(8)).story).not.toEqual(story);
});

const oneForEachGuarantee = [
  ...new Map(coordinatedMutants.toReversed().map((mutant) => [mutant.breaks, mutant])).values(),
];
theFleetsFind(oneForEachGuarantee, 100, 'build/mutants/coordinated');

it('the other faults can be planted: the code has the texts that they change', () => {
  for (const mutant of coordinatedMutants) expect(changedFiles(mutant).size).toBe(1);
});
