/** The guarantees of docs/guarantees.md on more simulated fleets than in fleets.test.ts. */
import { expect, it } from 'vitest';
import { simulateCommand } from './run.js';

it('no fleet of 800 more seeds breaks a guarantee', () => {
  const { status, output } = simulateCommand(['--from', '1201', '--seeds', '800']);
  console.log(output);
  expect(output.trim().split('\n').at(-1)).toMatch(/: 0 violations$/);
  expect(status).toBe(0);
});
