/** One planted fault for each guarantee is found. mutants.long.test.ts looks for all of them. */
import { expect, it } from 'vitest';
import { mutants } from './mutants.js';
import { changedFiles } from './plant.js';
import { seedsThatCatch, theSimulationFinds } from './planted.js';

const oneForEachGuarantee = [
  ...new Map(mutants.toReversed().map((mutant) => [mutant.breaks, mutant])).values(),
];

theSimulationFinds(oneForEachGuarantee, 'build/mutants');

it('the others can be planted: the code has the texts that they change', () => {
  for (const mutant of mutants) expect(changedFiles(mutant).size).toBeGreaterThan(0);
  expect(Object.keys(seedsThatCatch)).toEqual(mutants.map(({ what }) => what));
});

it('each guarantee has a fault', () => {
  const broken = oneForEachGuarantee.map(({ breaks }) => breaks);
  expect(broken.sort()).toEqual(['G1', 'G2', 'G3', 'G4', 'G5', 'G6', 'G7']);
});
