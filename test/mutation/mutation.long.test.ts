/** The mutation tester, on one file. `npm run mutation` tries all of them. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

it('each mutant of decide.ts is killed by a test, or listed with the reason', () => {
  const args = ['scripts/mutation.mjs', '--files', 'lib/election/decide.ts', '--most', '30000'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stdout + stderr).toContain('lib/election/decide.ts');
  expect(status, stdout + stderr).toBe(0);
});
