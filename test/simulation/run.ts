import { spawnSync } from 'node:child_process';

/** Runs `npm run simulate -- <args>` on the built package. */
export function simulateCommand(args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/simulate.mjs', ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  return { status, output: `${stdout}${stderr}` };
}
