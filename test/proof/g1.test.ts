/**
 * G1 is proved for all numbers, and no rule can be left out: without it the solver finds a story in which two lead.
 * `stories.txt` has these stories.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Prover, RULES, WAYS, type RuleName, type Way } from './model.js';

let prover: Prover;

beforeAll(async () => {
  prover = await Prover.start();
});

afterAll(() => prover.stop());

const ways = Object.keys(WAYS) as Way[];
const rules = Object.keys(RULES) as RuleName[];

it.each(ways)('two never lead at one instant: %s', async (way) => {
  expect(await prover.ask({ way })).toEqual({ possible: false, story: [] });
});

// Else the proof would be empty. B's own Lease is missing here: the rule excludes that A has taken it over.
it.each(['expiry', 'release', 'deletion', 'death'] as const)(
  'two lead one after the other: %s',
  async (way) => {
    expect((await prover.ask({ way, apart: true })).possible).toBe(true);
  },
);

it('without any one rule two lead at one instant', async () => {
  const stories: string[] = [];
  for (const without of rules) {
    const { number, says, without: instead, way } = RULES[without];
    const { possible, story } = await prover.ask({ way, without });
    expect(possible, `without ${without}`).toBe(true);
    const rule = number === 'bound' ? 'Bound' : `Rule ${number}`;
    stories.push([`${rule}: ${says}.`, `Without it: ${instead}.`, '', ...story, ''].join('\n'));
  }
  await expect(stories.join('\n')).toMatchFileSnapshot('stories.txt');
});

it('docs/proof.md shows these rules', async () => {
  const text = await readFile('docs/proof.md', 'utf8');
  const rows = [...text.matchAll(/^\| (\d+|bound) +\|([^|]*)\|([^|]*)\|$/gm)].map((row) =>
    row.slice(1).map((cell) => cell.trim()),
  );
  expect(rows).toEqual(rules.map((rule) => [RULES[rule].number, RULES[rule].says, RULES[rule].without]));
});
