/** Every step of every process is one that the rules of ARCHITECTURE.md allow, in many more fleets than in fleets.test.ts. */
import { expect, it } from 'vitest';
import { simulate } from '../../lib/testing/simulation/index.js';
import { checkFleets, textOf } from './fleet-traces.js';

it('the rules explain every step of 200 simulated fleets', async () => {
  const findings = await checkFleets(simulate, { from: 640_001, seeds: 200 });
  console.log(`${String(findings.steps)} steps, ${String(findings.used.size)} transitions`);
  expect(textOf(findings)).toBe('');
});
