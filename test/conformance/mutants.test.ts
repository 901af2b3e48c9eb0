/** The checker finds a planted fault of two rules, and there is one for each rule. mutants.long.test.ts looks for all. */
import { expect, it } from 'vitest';
import { changedFiles } from '../simulation/plant.js';
import { ruleBreakers } from './mutants.js';
import { theCheckerFinds } from './planted.js';
import { RULES } from './transitions.js';

theCheckerFinds(
  [1, 10].flatMap((rule) => ruleBreakers.find((breaker) => breaker.rule === rule) ?? []),
  'build/mutants/rules',
);

it('each rule has a fault, and each can be planted', () => {
  const broken = new Set(ruleBreakers.map(({ rule }) => String(rule)));
  expect(Object.keys(RULES).filter((rule) => !broken.has(rule))).toEqual([]);
  for (const breaker of ruleBreakers) expect(changedFiles(breaker).size).toBeGreaterThan(0);
});
