/** What the specs of queues share: a Redis, queues of their own in it, and applications that elect a leader. */
import { BullModule } from '@nestjs/bullmq';
import type { INestApplicationContext, ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Queue } from 'bullmq';
import { randomUUID } from 'node:crypto';
import { LeaderElectionModule } from 'nestjs-leader';
import { LeaderElectionTestingModule, ScriptedElector, type LeaseApiServer } from 'nestjs-leader/testing';

function redisUrl(): URL {
  const url = process.env['REDIS_URL'];
  if (url === undefined) throw new Error('REDIS_URL is not set: test/package/integrations.ts sets it.');
  return new URL(url);
}

/** How to reach the Redis, for bullmq as for ioredis. */
export function redisConnection() {
  const { hostname, port, username, password } = redisUrl();
  return {
    host: hostname,
    port: Number(port === '' ? 6379 : port),
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
  };
}

/** For queues that nobody else has: the Redis may be shared. */
const prefix = `nestjs-leader-test-${randomUUID()}`;

const bullModule = () => BullModule.forRoot({ connection: redisConnection(), prefix });

/** The test's own way to a queue, whatever becomes of the applications. */
export function openQueue(name: string): Queue {
  return new Queue(name, { connection: redisConnection(), prefix });
}

/** Leaves nothing behind. */
export async function closeQueue(queue: Queue): Promise<void> {
  await queue.obliterate({ force: true });
  await queue.close();
}

/** An application whose election the test decides. */
export async function scriptedApplication(
  metadata: ModuleMetadata,
): Promise<{ app: INestApplicationContext; elector: ScriptedElector }> {
  const module = await Test.createTestingModule({
    ...metadata,
    imports: [bullModule(), LeaderElectionTestingModule.forRoot(), ...(metadata.imports ?? [])],
  }).compile();
  module.useLogger(false);
  const app = await module.init();
  return { app, elector: app.get(ScriptedElector) };
}

/** One of several that elect a leader. */
export async function electingApplication(
  server: LeaseApiServer,
  identity: string,
  metadata: ModuleMetadata,
): Promise<INestApplicationContext> {
  const module = await Test.createTestingModule({
    ...metadata,
    imports: [
      bullModule(),
      LeaderElectionModule.forRoot({
        leaseName: 'invoices',
        leaseNamespace: 'default',
        identity,
        retryPeriod: 200,
        kubernetes: { server: server.url },
      }),
      ...(metadata.imports ?? []),
    ],
  }).compile();
  module.useLogger(false);
  return module.init();
}
