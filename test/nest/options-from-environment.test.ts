import { readFile } from 'node:fs/promises';
import { NestFactory } from '@nestjs/core';
import { describe, expect, it } from 'vitest';
import {
  InvalidOptionsError,
  LeaderElectionModule,
  LeaderService,
  optionsFromEnvironment,
} from '../../lib/index.js';
import { LeaseApiServer } from '../../lib/testing.js';

const leaseName = { LEADER_ELECTION_LEASE_NAME: 'billing' };

function violations(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    optionsFromEnvironment(env);
    return [];
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error.violations;
    throw error;
  }
}

it('has every variable in docs/options.md, and no other', async () => {
  const page = await readFile('docs/options.md', 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `LEADER_ELECTION_'));
  const documented = rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`(?:LEADER_ELECTION)?(_\w+)`/g)].map(
      ([, name]) => `LEADER_ELECTION${String(name)}`,
    ),
  );
  const [list = ''] = violations({ ...leaseName, LEADER_ELECTION_NONE: '1' });
  expect(documented.sort()).toEqual(
    list
      .replace(/.*they are /, '')
      .split(', ')
      .sort(),
  );
});

it('reads every option that a variable can hold', () => {
  expect(
    optionsFromEnvironment({
      ...leaseName,
      LEADER_ELECTION_ENABLED: 'true',
      LEADER_ELECTION_LEASE_NAMESPACE: 'prod',
      LEADER_ELECTION_IDENTITY: 'pod-1',
      LEADER_ELECTION_LEASE_DURATION: '30s',
      LEADER_ELECTION_RENEW_DEADLINE: '20s',
      LEADER_ELECTION_RETRY_PERIOD: '1.5s',
      LEADER_ELECTION_JITTER_FACTOR: '0.5',
      LEADER_ELECTION_RENEW_INTERVAL: '5s',
      LEADER_ELECTION_RELEASE_ON_CANCEL: 'false',
      LEADER_ELECTION_DRAIN_TIMEOUT: '1m30s',
      LEADER_ELECTION_TERM_LIMIT: '1h',
      LEADER_ELECTION_LOCK_DELAY: '500ms',
      LEADER_ELECTION_RECLAIM_OWN_LEASE: 'true',
      LEADER_ELECTION_LABELS: 'app=billing, example.com/tier=jobs',
      LEADER_ELECTION_SPREAD: 'false',
      LEADER_ELECTION_ON_LOST: 'exit',
      LEADER_ELECTION_READINESS_INTERVAL: '10s',
      LEADER_ELECTION_SLOTS: '2',
      LEADER_ELECTION_ALSO_LEASE: 'old',
      LEADER_ELECTION_EVENTS: 'true',
      LEADER_ELECTION_LEADER_POD_LABELS: 'role=leader',
      LEADER_ELECTION_PREFLIGHT: 'fail',
      LEADER_ELECTION_RELEASE_AT_EXIT: 'false',
      LEADER_ELECTION_SERVER_CLOCK_MARGIN: '2s',
      LEADER_ELECTION_TAKEOVER: 'expiry',
      LEADER_ELECTION_TRACE: 'true',
    }),
  ).toEqual({
    enabled: true,
    leaseName: 'billing',
    leaseNamespace: 'prod',
    identity: 'pod-1',
    leaseDuration: 30_000,
    renewDeadline: 20_000,
    retryPeriod: 1_500,
    jitterFactor: 0.5,
    renewInterval: 5_000,
    releaseOnCancel: false,
    drainTimeout: 90_000,
    termLimit: 3_600_000,
    lockDelay: 500,
    reclaimOwnLease: true,
    labels: { app: 'billing', 'example.com/tier': 'jobs' },
    spread: false,
    onLost: 'exit',
    readinessInterval: 10_000,
    slots: 2,
    alsoLease: 'old',
    events: true,
    leaderPodLabels: { role: 'leader' },
    preflight: 'fail',
    releaseAtExit: false,
    serverClockMargin: 2_000,
    takeover: 'expiry',
    trace: true,
  });
});

it('reads the choice of times that stands in place of three variables', () => {
  expect(optionsFromEnvironment({ ...leaseName, LEADER_ELECTION_TIMING: 'patient' })).toEqual({
    leaseName: 'billing',
    timing: 'patient',
  });
});

it('ignores variables that are empty, unset, or set by Kubernetes for a Service of that name', () => {
  expect(
    optionsFromEnvironment({
      ...leaseName,
      LEADER_ELECTION_IDENTITY: '',
      LEADER_ELECTION_TERM_LIMIT: '0',
      LEADER_ELECTION_SERVICE_HOST: '10.0.0.1',
      LEADER_ELECTION_PORT: 'tcp://10.0.0.1:80',
      LEADER_ELECTION_UI_SERVICE_HOST: '10.0.0.2',
      LEADER_ELECTION_UI_SERVICE_PORT_HTTP: '80',
      LEADER_ELECTION_UI_PORT_80_TCP_ADDR: '10.0.0.2',
      PATH: '/bin',
    }),
  ).toEqual({ leaseName: 'billing', termLimit: 0 });
});

it.each([
  ['true', true],
  ['false', false],
  ['json', 'json'],
])('LEADER_ELECTION_TRACE can be %s', (text, trace) => {
  expect(optionsFromEnvironment({ ...leaseName, LEADER_ELECTION_TRACE: text })).toMatchObject({ trace });
});

describe('names the wrong variable, with the value and the rule', () => {
  it.each<[NodeJS.ProcessEnv, string]>([
    [{ LEADER_ELECTION_LEASE_NAME: '' }, 'LEADER_ELECTION_LEASE_NAME is missing: it must be an RFC 1123'],
    [{ LEADER_ELECTION_LEASE_NAME: 'Upper' }, "LEADER_ELECTION_LEASE_NAME is 'Upper': it must be"],
    [
      { LEADER_ELECTION_LEASE_DURATION: '15' },
      "LEADER_ELECTION_LEASE_DURATION is '15': it must be a duration with",
    ],
    [{ LEADER_ELECTION_LEASE_DURATION: '15 s' }, "LEADER_ELECTION_LEASE_DURATION is '15 s'"],
    [{ LEADER_ELECTION_LEASE_DURATION: '-15s' }, "LEADER_ELECTION_LEASE_DURATION is '-15s'"],
    [
      { LEADER_ELECTION_LEASE_DURATION: '9s' },
      'LEADER_ELECTION_LEASE_DURATION is 9000 and LEADER_ELECTION_RENEW_DEADLINE 10000: LEADER_ELECTION_LEASE_DURATION must be larger',
    ],
    [
      { LEADER_ELECTION_TIMING: 'slow' },
      "LEADER_ELECTION_TIMING is 'slow': it must be 'fast', 'standard' or 'patient'",
    ],
    [{ LEADER_ELECTION_ENABLED: 'yes' }, "LEADER_ELECTION_ENABLED is 'yes': it must be true or false"],
    [{ LEADER_ELECTION_TRACE: 'JSON' }, "LEADER_ELECTION_TRACE is 'JSON': it must be true, false or json"],
    [{ LEADER_ELECTION_SLOTS: 'two' }, "LEADER_ELECTION_SLOTS is 'two': it must be a number"],
    [{ LEADER_ELECTION_LABELS: 'app' }, "LEADER_ELECTION_LABELS is 'app': it must be labels such as"],
    [
      { LEADER_ELECTION_LABELS: 'a=1, a=2' },
      "LEADER_ELECTION_LABELS is 'a=1, a=2': it must be labels such as app=billing,tier=jobs, each key once",
    ],
    [
      { LEADER_ELECTION_LEASE_NAME: "it's identity.Labels", LEADER_ELECTION_IDENTITY: 'x' },
      'LEADER_ELECTION_LEASE_NAME is "it\'s identity.Labels": it must be',
    ],
    [
      { LEADER_ELECTION_LABELS: 'labels=not a labels value' },
      "LEADER_ELECTION_LABELS['labels'] is 'not a labels value': it must be",
    ],
    [
      { LEADER_ELECTION_TERM_LIMIT: `${'9'.repeat(400)}h` },
      `LEADER_ELECTION_TERM_LIMIT is '${'9'.repeat(50)}'... 351 more characters: it must be a duration with a unit`,
    ],
    [{ LEADER_ELECTION_SLOTS: '9'.repeat(400) }, "9'... 350 more characters: it must be a number"],
    [
      { LEADER_ELECTION_ON_LOST: 'crash' },
      "LEADER_ELECTION_ON_LOST is 'crash': it must be 'campaign' or 'exit'",
    ],
    [
      { LEADER_ELECTION_LEASE: 'x' },
      'LEADER_ELECTION_LEASE: there is no such variable; they are LEADER_ELECTION_',
    ],
    [
      { LEADER_ELECTION_TAKE_OVER: 'podStatus' },
      'LEADER_ELECTION_TAKE_OVER (did you mean LEADER_ELECTION_TAKEOVER?): there is no such variable; they are ',
    ],
    [
      { LEADER_ELECTION_TAKEOVER: 'podstatus' },
      "LEADER_ELECTION_TAKEOVER is 'podstatus': it must be 'expiry', 'sameContainer' or 'podStatus'",
    ],
    [
      { LEADER_ELECTION_PREFLIGHT: 'no' },
      "LEADER_ELECTION_PREFLIGHT is 'no': it must be 'warn', 'fail' or 'off'",
    ],
    [
      { LEADER_ELECTION_LEADER_POD_LABELS: 'role=a b' },
      "LEADER_ELECTION_LEADER_POD_LABELS['role'] is 'a b': it must be a Kubernetes label value",
    ],
    [
      { LEADER_ELECTION_TIMING: 'patient', LEADER_ELECTION_LEASE_DURATION: '15s' },
      "LEADER_ELECTION_LEASE_DURATION is 15000 and LEADER_ELECTION_TIMING 'patient': give either LEADER_ELECTION_TIMING, or " +
        'LEADER_ELECTION_LEASE_DURATION, LEADER_ELECTION_RENEW_DEADLINE and LEADER_ELECTION_RETRY_PERIOD',
    ],
  ])('%j', (env, message) => {
    expect(violations({ ...leaseName, ...env })).toEqual([expect.stringContaining(message)]);
  });

  it('all of them in one error', () => {
    expect(() => optionsFromEnvironment({})).toThrow('The LEADER_ELECTION_* variables break a rule:');
    expect(
      violations({
        LEADER_ELECTION_RETRY_PERIOD: '2',
        LEADER_ELECTION_SPREAD: '1',
        LEADER_ELECTION_IDENTITY: ' ',
      }),
    ).toHaveLength(4);
    expect(
      violations({
        ...leaseName,
        LEADER_ELECTION_TAKEOVER: 'dead',
        LEADER_ELECTION_PREFLIGHT: 'on',
        LEADER_ELECTION_TIMING: 'slow',
        LEADER_ELECTION_ON_LOST: 'crash',
        LEADER_ELECTION_SERVER_CLOCK_MARGIN: '2',
      }).map((violation) => violation.split(' ')[0]),
    ).toEqual(
      ['SERVER_CLOCK_MARGIN', 'PREFLIGHT', 'TAKEOVER', 'ON_LOST', 'TIMING'].map(
        (name) => `LEADER_ELECTION_${name}`,
      ),
    );
  });

  // Otherwise each would be measured against the default of the variable that could not be read.
  it.each<[NodeJS.ProcessEnv, string]>([
    [
      { LEADER_ELECTION_LEASE_DURATION: '30', LEADER_ELECTION_RENEW_DEADLINE: '20s' },
      'LEADER_ELECTION_LEASE_DURATION',
    ],
    [{ LEADER_ELECTION_LABELS: 'app' }, 'LEADER_ELECTION_LABELS'],
  ])('but no rule about a value that could not be read: %j', (env, variable) => {
    expect(violations({ ...leaseName, ...env })).toEqual([expect.stringMatching(`^${variable} is '`)]);
  });
});

it('an application takes them, together with options that a variable cannot contain', async () => {
  const server = await LeaseApiServer.start();
  const env = { ...leaseName, LEADER_ELECTION_LEASE_NAMESPACE: 'default', LEADER_ELECTION_IDENTITY: 'pod-1' };
  for (const election of [
    LeaderElectionModule.forRoot({ ...optionsFromEnvironment(env), kubernetes: { server: server.url } }),
    LeaderElectionModule.forRootAsync({
      useFactory: () => ({ ...optionsFromEnvironment(env), kubernetes: { server: server.url } }),
    }),
  ]) {
    const app = await NestFactory.createApplicationContext(election, { logger: false });
    expect(await app.get(LeaderService).whenLeader()).toMatchObject({
      leaseName: 'billing',
      identity: 'pod-1',
    });
    await app.close();
  }
  await server.stop();
});
