/** What an election does in its cluster apart from its Lease: the rules of the options, preflight at start, and events that fail. */
import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  InvalidOptionsError,
  LeaderElectionModule,
  LeaderService,
  type LeaderElectionModuleOptions,
  type LeaderError,
} from '../../lib/index.js';
import { KubernetesConnection, KubernetesLeaseLock, attend } from '../../lib/kubernetes/internal.js';
import { prometheusMetrics } from '../../lib/metrics/prometheus.js';
import { LeaseApiServer } from '../../lib/testing.js';

let server: LeaseApiServer;
let app: INestApplicationContext | undefined;

@Injectable()
class Witness {
  readonly errors: LeaderError[] = [];
  readonly first: Promise<LeaderError>;

  constructor(leader: LeaderService) {
    this.first = new Promise((resolve) => {
      leader.on('error', ({ error }) => {
        this.errors.push(error);
        resolve(error);
      });
    });
  }
}

@Module({ providers: [Witness] })
class WitnessModule {}

const verbs = ['get', 'create', 'update', 'watch'] as const;

async function start(options: Partial<LeaderElectionModuleOptions>, token = 'all'): Promise<Witness> {
  const election = LeaderElectionModule.forRoot({
    leaseName: 'x',
    leaseNamespace: 'default',
    kubernetes: { server: server.url, token },
    ...options,
  });
  @Module({ imports: [election, WitnessModule] })
  class Application {}
  app = await NestFactory.createApplicationContext(Application, { logger: false, abortOnError: false });
  return app.get(Witness, { strict: false });
}

const reviews = (): unknown[] =>
  server.requests.filter(({ path }) => path.endsWith('/selfsubjectaccessreviews'));

beforeEach(async () => {
  app = undefined;
  server = await LeaseApiServer.start({
    tokens: { all: 'alice', some: 'bob' },
    rules: [
      { user: 'alice', verbs, resourceNames: ['x', 'x-0', 'x-1'] },
      { user: 'bob', verbs: ['get', 'create'], resourceNames: ['x'] },
    ],
  });
});
afterEach(async () => {
  await app?.close();
  await server.stop();
});

it.each<[string, Partial<Record<keyof LeaderElectionModuleOptions, unknown>>, RegExp[]]>([
  ['events', { events: 'yes' }, [/events is 'yes': it must be true or false/]],
  [
    'leaderPodLabels',
    { leaderPodLabels: { 'a b': '-' } },
    [/leaderPodLabels has the key 'a b'/, /\['a b'\] is '-'/],
  ],
  ...[
    'pod-template-hash',
    'controller-revision-hash',
    'pod-template-generation',
    'controller-uid',
    'job-name',
    'statefulset.kubernetes.io/pod-name',
    'apps.kubernetes.io/pod-index',
    'batch.kubernetes.io/job-completion-index',
    'batch.kubernetes.io/controller-uid',
  ].map((key): [string, Partial<Record<keyof LeaderElectionModuleOptions, unknown>>, RegExp[]] => [
    `${key} as a label`,
    { leaderPodLabels: { [key]: 'x', role: 'leader' } },
    [
      new RegExp(
        `break a rule:\\n  - leaderPodLabels has the key '${key}': a controller selects its pods by this label`,
      ),
    ],
  ]),
  [
    'serverClockMargin',
    { serverClockMargin: -1 },
    [/serverClockMargin is -1: it must be a number of milliseconds, 0 or more/],
  ],
  ['preflight', { preflight: 'strict' }, [/preflight is 'strict': it must be 'warn', 'fail' or 'off'/]],
  [
    'an owner that is none',
    { ownerReference: 'billing' },
    [/it must be an object with apiVersion, kind, name and uid/],
  ],
  [
    'an owner that a rollout deletes',
    { ownerReference: { apiVersion: 'v1', kind: 'Pod', name: 'billing-1', uid: '', controller: true } },
    [
      /ownerReference.uid is ''/,
      /ownerReference.controller: there is no such field/,
      /kind is 'Pod': a rollout deletes its objects/,
    ],
  ],
])('the start fails for invalid %s', async (_, options, rules) => {
  const refused = start(options as Partial<LeaderElectionModuleOptions>);
  await expect(refused).rejects.toThrow(InvalidOptionsError);
  for (const rule of rules) await expect(refused).rejects.toThrow(rule);
});

it('checks its permissions at start, for each slot, and logs nothing when it has all', async () => {
  const witness = await start({ slots: 2 });
  await app?.get(LeaderService).whenLeader();
  while (reviews().length < 8) await server.nextRequest();
  expect(witness.errors).toEqual([]);
});

it('warns by default: one error names the missing verbs, and the process campaigns', async () => {
  const witness = await start({}, 'some');
  const isMissing = ({ code }: LeaderError): boolean => code === 'LEADER_PERMISSION_MISSING';
  while (!witness.errors.some(isMissing)) await new Promise(setImmediate);
  expect(witness.errors.find(isMissing)?.message).toMatch(
    /lacks 2 permissions .*: update on leases.coordination.k8s.io 'x' in namespace 'default', watch on/,
  );
});

it("preflight: 'fail' stops the start when a permission is missing, and not when the API server cannot be asked", async () => {
  await expect(start({ preflight: 'fail' }, 'some')).rejects.toMatchObject({
    code: 'LEADER_PERMISSION_MISSING',
  });
  const witness = await start({ preflight: 'fail', kubernetes: { server: 'http://127.0.0.1:9' } });
  expect(await witness.first).toMatchObject({ code: 'LEADER_UNREACHABLE' });
});

it("preflight: 'fail' asks again if the API server could not be asked at start, and not if the check passed", async () => {
  const attendantsOf = async (url: string): Promise<number> => {
    const connection = new KubernetesConnection({ server: url, token: 'all' });
    const { attendants } = await attend({
      connection,
      leaseNamespace: 'default',
      locks: new Map([
        ['x', new KubernetesLeaseLock(connection, { name: 'x', namespace: 'default', labels: {} })],
      ]),
      events: false,
      leaderPodLabels: {},
      preflight: 'fail',
      retryPeriod: 2_000,
    });
    connection.close();
    return attendants.length;
  };
  expect([await attendantsOf('http://127.0.0.1:9'), await attendantsOf(server.url)]).toEqual([1, 0]);
});

it("asks nothing with preflight: 'off'", async () => {
  await start({ preflight: 'off' });
  await app?.get(LeaderService).whenLeader();
  expect(reviews()).toEqual([]);
});

it('leads, and reports once that Events cannot be written', async () => {
  const register = new Registry();
  const witness = await start({ events: true, preflight: 'off', metrics: prometheusMetrics(register) });
  const leader = app?.get(LeaderService) as LeaderService;
  expect(await witness.first).toMatchObject({ code: 'LEADER_EVENT_FAILED' });
  expect(leader.isLeader()).toBe(true);
  await leader.stepDown({ cooldown: 0 });
  await leader.whenLeader();
  await app?.close();
  expect(server.requests.filter(({ path }) => path.endsWith('/events')).length).toBeGreaterThan(4);
  expect(witness.errors).toHaveLength(1);
  expect(await register.metrics()).toContain('code="LEADER_EVENT_FAILED"} 1');
});

it('an election that is imported twice is reported as a duplicate, also if it labels its pod', async () => {
  const options = { leaseName: 'x', leaseNamespace: 'default', leaderPodLabels: { role: 'leader' } };
  const imports = [1, 2].map(() => LeaderElectionModule.forRoot({ ...options }));
  class Application {}
  const boot = NestFactory.createApplicationContext(
    { module: Application, imports },
    { logger: false, abortOnError: false },
  );
  await expect(boot).rejects.toMatchObject({ code: 'LEADER_DUPLICATE_ELECTION' });
});

function electionsWith(...labels: readonly Record<string, string>[]): Promise<INestApplicationContext> {
  const imports = labels.map((leaderPodLabels, at) =>
    LeaderElectionModule.forRoot({
      name: `election-${String(at)}`,
      leaseName: `x-${String(at)}`,
      leaseNamespace: 'default',
      kubernetes: { server: server.url, token: 'all' },
      leaderPodLabels,
    }),
  );
  class Application {}
  return NestFactory.createApplicationContext(
    { module: Application, imports },
    { logger: false, abortOnError: false },
  );
}

it('two elections of an application need different keys to label its pod', async () => {
  await expect(electionsWith({ a: 'x', role: 'leader' }, { role: 'other' })).rejects.toMatchObject({
    code: 'LEADER_INVALID_OPTIONS',
    message: expect.stringMatching(
      /election 'election-[01]' break a rule:\n {2}- leaderPodLabels has the key 'role', as that of the election 'election-[01]' has: .* a key of its own$/,
    ),
  });
  // Another application, another pod.
  app = await electionsWith({ role: 'leader' }, { 'other-role': 'leader' });
});
