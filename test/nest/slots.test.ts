/** Applications of which several lead, each a slot. */
import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LeaderElectionModule, LeaderService, OnlyWhenLeader, currentTerm } from '../../lib/index.js';
import { LeaseApiServer } from '../../lib/testing.js';

@Injectable()
class Shard {
  @OnlyWhenLeader({ otherwise: () => undefined })
  number(): number | undefined {
    return currentTerm().slot;
  }
}

let server: LeaseApiServer;
const apps: INestApplicationContext[] = [];

beforeEach(async () => {
  server = await LeaseApiServer.start();
});
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await server.stop();
});

class Root {}

async function startApplication(): Promise<LeaderService> {
  const election = LeaderElectionModule.forRoot({
    leaseName: 'shard',
    leaseNamespace: 'default',
    kubernetes: { server: server.url },
    slots: 2,
  });
  const app = await NestFactory.createApplicationContext(
    { module: Root, imports: [election], providers: [Shard] },
    { logger: false },
  );
  apps.push(app);
  return app.get(LeaderService);
}

const shards = (): (number | undefined)[] => apps.map((app) => app.get(Shard).number());

it('two of three replicas lead a shard each, and the third takes over that of one that stops', async () => {
  const first = await startApplication();
  await first.whenLeader();
  const second = await startApplication();
  await second.whenLeader();
  const third = await startApplication();
  const [a, b, c] = shards();
  expect([[a, b].sort(), c]).toEqual([[0, 1], undefined]);
  expect(server.leases.map(({ metadata }) => metadata.name).sort()).toEqual(['shard-0', 'shard-1']);
  expect(third.isLeader()).toBe(false);

  await apps.shift()?.close();
  expect((await third.whenLeader()).slot).toBe(a);
  expect(shards()).toEqual([b, a]);
  await third.stepDown({ cooldown: 0 });
});

it.each([
  [{ slots: 0 }, /slots is 0: it must be a whole number, at least 1/],
  [{ slots: 1.5 }, /slots is 1.5: it must be/],
  [{ slots: 2, spread: true }, /slots is 2 and spread true/],
])('refuses %j', async (options, message) => {
  const election = LeaderElectionModule.forRoot({
    leaseName: 'shard',
    leaseNamespace: 'default',
    ...options,
  });
  await expect(
    NestFactory.createApplicationContext(election, { logger: false, abortOnError: false }),
  ).rejects.toThrow(message);
});
