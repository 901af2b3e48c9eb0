/** The exported names of the package. Names are a promise, so adding or removing one is a decision that is made here. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import * as election from '../../lib/election/index.js';
import * as main from '../../lib/index.js';
import * as kubernetes from '../../lib/kubernetes/index.js';
import * as opentelemetry from '../../lib/metrics/opentelemetry.js';
import * as prometheus from '../../lib/metrics/prometheus.js';
import * as testing from '../../lib/testing.js';

const names = (module: object): string[] => Object.keys(module).sort();

it('nestjs-leader', () => {
  expect(names(main)).toEqual([
    'InjectLeader',
    'InvalidOptionsError',
    'LeaderElectionModule',
    'LeaderError',
    'LeaderEvents',
    'LeaderGuard',
    'LeaderHealthIndicator',
    'LeaderService',
    'LeaderStatusModule',
    'LeaseRequestError',
    'NotLeaderError',
    'OnNewLeader',
    'OnStartedLeading',
    'OnStoppedLeading',
    'OnlyWhenLeader',
    'RequireLeader',
    'TermOverError',
    'currentTerm',
    'getElectorToken',
    'getLeaderToken',
    'isLeaderError',
    'isTermOver',
    'leaderErrorCodes',
    'optionsFromEnvironment',
    'registerHandlerKind',
  ]);
});

it('nestjs-leader/election', () => {
  expect(names(election)).toEqual([
    'ElectionRunner',
    'InvalidOptionsError',
    'JointElector',
    'LeaderError',
    'LeaseClaim',
    'LeaseElector',
    'LeaseRequestError',
    'NotLeaderError',
    'Readiness',
    'ScriptedElector',
    'SlotElector',
    'Spread',
    'StaticElector',
    'SystemClock',
    'TermOverError',
    'Watchdog',
    'currentTerm',
    'defaultIdentity',
    'isLeaderError',
    'isTermOver',
    'leaderErrorCodes',
    'overdueBy',
    'readable',
    'resolveElectionOptions',
    'runInTerm',
    'slotLeaseName',
    'stepRecorder',
    'storyTeller',
  ]);
});

it('nestjs-leader/kubernetes', () => {
  expect(names(kubernetes)).toEqual([
    'CoordinatedElector',
    'KubernetesConnection',
    'KubernetesLeaseLock',
    'LeaseCandidateKeeper',
    'defaultNamespace',
  ]);
});

it('nestjs-leader/metrics and nestjs-leader/opentelemetry', () => {
  expect(names(prometheus)).toEqual(['prometheusMetrics']);
  expect(names(opentelemetry)).toEqual(['openTelemetryMetrics', 'openTelemetryTraces']);
});

it('nestjs-leader/testing', () => {
  expect(names(testing)).toEqual([
    'Chance',
    'LeaderElectionTestingModule',
    'LeaseApiServer',
    'ScriptedElector',
    'SimulatedClock',
    'SimulatedLease',
    'SimulatedTime',
    'faultKinds',
    'getElectorToken',
    'leaseLockContract',
    'overrideLeaderElection',
    'runInFakeTerm',
    'simulate',
  ]);
});

it('published declarations import only packages that every user has', async () => {
  const allowed = /^(\.|node:|@nestjs\/(common|core)$|rxjs$|reflect-metadata$)/;
  const foreign: string[] = [];
  for (const file of await readdir('dist/esm', { recursive: true })) {
    if (!file.endsWith('.d.ts')) continue;
    const text = await readFile(join('dist/esm', file), 'utf8');
    for (const [, specifier] of text.matchAll(/(?:from|import\()\s*'([^']+)'/g)) {
      if (!allowed.test(String(specifier))) foreign.push(`${file}: ${String(specifier)}`);
    }
  }
  // Users of one of these entry points have its library, but need not have the other.
  expect(foreign.sort()).toEqual([
    'metrics/opentelemetry.d.ts: @opentelemetry/api',
    'metrics/prometheus.d.ts: prom-client',
  ]);
});

it('published declarations have no default imports, which compile with esModuleInterop only', async () => {
  const found: string[] = [];
  for (const file of await readdir('dist/cjs', { recursive: true })) {
    if (!file.endsWith('.d.ts')) continue;
    const text = await readFile(join('dist/cjs', file), 'utf8');
    for (const [line] of text.matchAll(/^import (?:type )?\w+(?:,.*)? from .*$/gm))
      found.push(`${file}: ${line}`);
  }
  expect(found).toEqual([]);
});

it('every error code is documented', async () => {
  const documented = await readFile('docs/errors.md', 'utf8');
  expect(main.leaderErrorCodes.filter((code) => !documented.includes(`\`${code}\``))).toEqual([]);
});
