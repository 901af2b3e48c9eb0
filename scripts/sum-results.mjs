/** Adds up the reports of the test runs, for CI: `N passed, N failed`, and exit code 1 if anything failed. */
import { existsSync, readFileSync } from 'node:fs';

const failedSteps = Number(process.argv[2] ?? 0);
let passed = 0;
let failed = 0;
for (const path of ['build/test-results/test.json', 'build/test-results/long.json']) {
  if (!existsSync(path)) {
    console.log(`no report ${path}: that run did not reach its tests`);
    failed += 1;
    continue;
  }
  const report = JSON.parse(readFileSync(path, 'utf8'));
  passed += report.numPassedTests;
  // A file that cannot be loaded counts as one failure, because it has no tests.
  failed += Math.max(report.numFailedTests, report.numFailedTestSuites > 0 ? 1 : 0);
}
// A step such as the build or a static check may fail although every test passed.
if (failed === 0) failed = failedSteps;
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
