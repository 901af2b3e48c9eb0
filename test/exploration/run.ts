import { spawnSync } from 'node:child_process';

/** What `npm run explore -- <args> --json` says of one scope. */
export interface ScopeReport {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly ended: 'exhausted' | 'depth' | 'states' | 'stopped' | 'broken';
  readonly seconds: number;
  readonly fairRuns: number;
  readonly story?: {
    readonly guarantee: string;
    readonly what: string;
    readonly moves: number;
    readonly lines: readonly string[];
  };
}

/** Runs `npm run explore -- <args>` on the built package. */
export function exploreCommand(args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/explore.mjs', ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  return { status, output: `${stdout}${stderr}` };
}

/** Explores one scope. The bound of time is one against hanging. */
export function exploreScope(args: readonly string[]): ScopeReport {
  const { output } = exploreCommand([...args, '--json', '--minutes', '20']);
  const [report] = JSON.parse(output) as ScopeReport[];
  return report as ScopeReport;
}
