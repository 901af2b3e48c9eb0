/** A secret that a test lets out fails it, in whatever way it is let out. */
import { spawn } from 'node:child_process';
import { expect, it } from 'vitest';

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

it('every planted leak is seen, and nothing else', async () => {
  const args = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--config',
    'test/security/planted/vitest.config.ts',
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await new Promise((resolve) => child.on('close', resolve));
  // What was planted on standard output comes before the report.
  const report = JSON.parse(output.slice(output.indexOf('{"numTotalTestSuites"'))) as Report;
  const results = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const seen = results.filter(({ failureMessages: [message = ''] }) =>
    message.includes('secrets were let out'),
  );
  expect(results.filter((result) => !seen.includes(result))).toMatchObject([
    { title: 'nothing is let out', status: 'passed' },
  ]);
  expect(seen.map(({ status }) => status)).toEqual(seen.map(() => 'failed'));
  expect(seen.length).toBeGreaterThan(10);
});
