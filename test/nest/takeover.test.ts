/** The option `takeover`: what is noted on the Lease, and the warning about sources that contradict each other. */
import { Logger, Module, type DynamicModule, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import {
  LeaderElectionModule,
  LeaderService,
  getLeaderToken,
  type LeaderElectionModuleOptions,
} from '../../lib/index.js';
import { LeaseApiServer } from '../../lib/testing.js';

let server: LeaseApiServer;
let app: INestApplicationContext | undefined;
const warnings: string[] = [];

beforeEach(async () => {
  warnings.length = 0;
  vi.spyOn(Logger.prototype, 'warn').mockImplementation((line: unknown) => {
    warnings.push(String(line));
  });
  server = await LeaseApiServer.start();
});

afterEach(async () => {
  await app?.close();
  app = undefined;
  await server.stop();
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** Starts an application with two elections in the pod of these variables, and resolves when it leads both. */
async function lead(
  env: Record<string, string>,
  options: Partial<LeaderElectionModuleOptions> = {},
): Promise<readonly string[]> {
  for (const [variable, value] of Object.entries({ POD_UID: '', POD_NAME: '', CONTAINER_NAME: '', ...env }))
    vi.stubEnv(variable, value);
  const election = (leaseName: string): DynamicModule =>
    LeaderElectionModule.forRoot({
      name: leaseName,
      leaseName,
      leaseNamespace: 'default',
      kubernetes: { server: server.url },
      ...options,
    });
  @Module({ imports: [election('a'), election('b')] })
  class Application {}
  const context = await NestFactory.createApplicationContext(Application, { logger: ['warn'] });
  app = context;
  const leaders = ['a', 'b'].map((name) =>
    context.get<LeaderService>(getLeaderToken(name), { strict: false }),
  );
  await Promise.all(leaders.map((leader) => leader.whenLeader()));
  return server.leases.flatMap(
    ({ metadata: { annotations = {} } }) => annotations['nestjs-leader/process'] ?? [],
  );
}

const POD = { POD_UID: '0c6f7a3e', POD_NAME: 'billing-0', CONTAINER_NAME: 'app' };
const ofPod = / podUid=0c6f7a3e;(pod=\S+;)?container=app/;

it.each([
  ['by default', {}],
  ["with 'sameContainer'", { takeover: 'sameContainer' }],
] as const)('%s each election notes the process', async (_, options) => {
  expect(await lead(POD, options)).toEqual([expect.stringMatching(ofPod), expect.stringMatching(ofPod)]);
  expect(warnings).toEqual([]);
});

it.each<[string, Record<string, string>, Partial<LeaderElectionModuleOptions>]>([
  ["with 'expiry'", POD, { takeover: 'expiry' }],
  ['outside a pod', {}, {}],
  ['if the API server chooses the leader', POD, { coordinated: { binaryVersion: '1.0.0' } }],
])('nothing is noted %s', async (_, env, options) => {
  expect(await lead(env, options)).toEqual([]);
  expect(warnings.join()).not.toContain('in which container');
});

it('a variable that nobody replaced: one warning for all elections, and nothing is noted', async () => {
  expect(await lead({ ...POD, POD_UID: '$(POD_UID)' })).toEqual([]);
  expect(warnings).toEqual([
    expect.stringMatching(/^It is not certain in which container .*POD_UID, '\$\(POD_UID\)', is not/),
  ]);
});

it("with 'expiry' the variables are not looked at", async () => {
  expect(await lead({ ...POD, POD_UID: '$(POD_UID)' }, { takeover: 'expiry' })).toEqual([]);
  expect(warnings).toEqual([]);
});
