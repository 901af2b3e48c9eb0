import { spawnSync } from 'node:child_process';

/** What `npm run simulate -- <args>` does, on the package as it was built. */
export function simulateCommand(args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/simulate.mjs', ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  return { status, output: `${stdout}${stderr}` };
}
