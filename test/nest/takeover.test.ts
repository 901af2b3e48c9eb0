/** The option `takeover`: what is noted on the Lease, and the warning about sources that contradict each other. */
import { Logger, Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LeaderElectionModule, LeaderService, type LeaderElectionModuleOptions } from '../../lib/index.js';
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
  const election = (leaseName: string) =>
    LeaderElectionModule.forRoot({
      name: leaseName,
      leaseName,
      leaseNamespace: 'default',
      kubernetes: { server: server.url },
      ...options,
    });
  @Module({ imports: [election('a'), election('b')] })
  class Application {}
  app = await NestFactory.createApplicationContext(Application, { logger: ['warn'] });
  const leases = ['a', 'b'];
  const leaders = leases.map((name) => app?.get<LeaderService>(getLeaderToken(name), { strict: false }));
  await Promise.all(leaders.map((leader) => leader?.whenLeader()));
  return leases.flatMap((name) => {
    const annotations = server.lease(name)?.metadata.annotations ?? {};
    return Object.entries(annotations).flatMap(([key, value]) => (key === 'nestjs-leader/process' ? [value] : []));
  });
}
