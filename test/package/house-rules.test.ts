/** The walls between the rooms (ARCHITECTURE.md, "The rooms") are lint rules. Each forbidden import is planted, and must be found. */
import { ESLint } from 'eslint';
import { beforeAll, describe, expect, it } from 'vitest';

let eslint: ESLint;

/** The rules that a line would break in a file. Only untyped rules are run, because the file need not exist. */
async function brokenBy(filePath: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath });
  return (result?.messages ?? []).map(({ ruleId, message }) => ruleId ?? message);
}

beforeAll(() => {
  eslint = new ESLint({
    // These rules need no types, and code outside a file has none.
    overrideConfig: [{ languageOptions: { parserOptions: { projectService: false, project: null } } }],
    ruleFilter: ({ ruleId }) => /restricted|no-console/.test(ruleId),
  });
});

describe('a forbidden import is found', () => {
  const RULE = '@typescript-eslint/no-restricted-imports';
  it.each([
    ['lib/election/decide.ts', "import '../kubernetes/index.js';"],
    ['lib/election/decide.ts', "import '../nest/index.js';"],
    ['lib/election/decide.ts', "import './slots/slot-choice.js';"],
    ['lib/election/current-term.ts', "import './static/static-elector.js';"],
    ['lib/election/decide.ts', "import '../testing/index.js';"],
    ['lib/election/decide.ts', "import '@nestjs/common';"],
    ['lib/election/decide.ts', "import 'node:fs';"],
    ['lib/election/decide.ts', "import '@kubernetes/client-node';"],
    ['lib/election/system-clock.ts', "import '../nest/index.js';"],
    ['lib/kubernetes/connection.ts', "import '../nest/index.js';"],
    ['lib/kubernetes/connection.ts', "import '../testing/index.js';"],
    ['lib/kubernetes/connection.ts', "import '../election/decide.js';"],
    ['lib/kubernetes/connection.ts', "import { KubeConfig } from '@kubernetes/client-node';"],
    ['lib/kubernetes/connection.ts', "import '@nestjs/common';"],
    ['lib/testing/fake-term.ts', "import '../nest/index.js';"],
    ['lib/testing/fake-term.ts', "import '../kubernetes/index.js';"],
    ['lib/testing/fake-term.ts', "import '@nestjs/testing';"],
    ['lib/nest/gate/gate.ts', "import '../../kubernetes/index.js';"],
    ['lib/nest/gate/gate.ts', "import '../../election/phases.js';"],
    ['lib/nest/gate/gate.ts', "import '../../index.js';"],
    ['lib/nest/gate/gate.ts', "import '../../testing/index.js';"],
    ['lib/nest/testing/leader-election-testing.module.ts', "import '../../kubernetes/index.js';"],
    ['lib/metrics/counters.ts', "import '../nest/index.js';"],
    ['lib/metrics/counters.ts', "import 'prom-client';"],
    ['lib/metrics/prometheus.ts', "import '@opentelemetry/api';"],
    ['lib/metrics/opentelemetry.ts', "import 'prom-client';"],
    ['lib/nest/gate/gate.ts', "import 'prom-client';"],
    ['lib/election/phases.ts', "import '@opentelemetry/api';"],
    ['lib/index.ts', "import '@kubernetes/client-node';"],
    ['lib/cli/status.ts', "import '../nest/index.js';"],
    ['lib/cli/status.ts', "import '../nest/options/resolve-options.js';"],
    ['lib/cli/status.ts', "import '../kubernetes/transport.js';"],
    ['lib/cli/doctor/doctor.ts', "import '../../testing/index.js';"],
    ['lib/cli/status.ts', "import '@nestjs/common';"],
    ['lib/cli/status.ts', "import '../index.js';"],
    ['lib/kubernetes/connection.ts', "import '../cli/program.js';"],
    ['lib/nest/gate/gate.ts', "import '../../cli/program.js';"],
    ['lib/nest/options/options-from-environment.ts', "import '@nestjs/common';"],
    ['sample-app/main.ts', "import '../lib/index.js';"],
    ['bench/main.ts', "import '../lib/election/index.js';"],
  ])('%s: %s', async (file, code) => {
    expect(await brokenBy(file, code)).toContain(RULE);
  });
});

describe('a permitted import is not reported', () => {
  it.each([
    ['lib/election/decide.ts', "import './clock.js';"],
    ['lib/election/current-term.ts', "import 'node:async_hooks';"],
    ['lib/kubernetes/connection.ts', "import '../election/internal.js';"],
    ['lib/kubernetes/connection.ts', "import type { KubeConfig } from '@kubernetes/client-node';"],
    ['lib/nest/gate/gate.ts', "import '@nestjs/common';"],
    ['lib/metrics/prometheus.ts', "import 'prom-client';"],
    ['lib/metrics/opentelemetry.ts', "import '@opentelemetry/api';"],
    ['lib/nest/kubernetes-connections.ts', "void import('../kubernetes/index.js');"],
    ['lib/nest/testing/leader-election-testing.module.ts', "import '../../testing/index.js';"],
    ['lib/cli/status.ts', "import '../kubernetes/internal.js';"],
    ['lib/cli/election-flags.ts', "import '../nest/options/options-from-environment.js';"],
    ['lib/cli/serve.ts', "void import('../testing/index.js');"],
    ['lib/testing.ts', "import './nest/index.js';"],
    ['sample-app/main.ts', "import 'nestjs-leader';"],
  ])('%s: %s', async (file, code) => {
    expect(await brokenBy(file, code)).toEqual([]);
  });
});

describe('time, randomness and the end of the process have one entry', () => {
  it.each([
    ['lib/election/phases.ts', 'Date.now();', 'no-restricted-properties'],
    ['lib/election/phases.ts', 'new Date();', 'no-restricted-syntax'],
    ['lib/election/phases.ts', 'setTimeout(() => undefined, 1);', 'no-restricted-globals'],
    ['lib/election/phases.ts', 'Math.random();', 'no-restricted-properties'],
    ['lib/kubernetes/transport.ts', 'AbortSignal.timeout(1);', 'no-restricted-properties'],
    ['lib/nest/gate/gate.ts', 'performance.now();', 'no-restricted-globals'],
    ['lib/nest/gate/gate.ts', 'process.exit(1);', 'no-restricted-properties'],
    ['lib/nest/gate/gate.ts', "void import('../../kubernetes/index.js');", 'no-restricted-syntax'],
    ['lib/nest/gate/gate.ts', "console.log('x');", 'no-console'],
    ['lib/nest/gate/gate.ts', 'export default 1;', 'no-restricted-syntax'],
    ['lib/cli/status.ts', "console.log('x');", 'no-console'],
    ['lib/cli/status.ts', 'process.exit(1);', 'no-restricted-properties'],
  ])('%s: %s', async (file, code, rule) => {
    expect(await brokenBy(file, code)).toContain(rule);
  });
});
