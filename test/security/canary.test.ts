/** A test that leaks a secret fails, in whatever way the secret leaks. */
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

it('every planted leak is found, and nothing else', async () => {
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
  // The leaks on standard output come before the report.
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
