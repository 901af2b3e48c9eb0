/** The options readinessCheck and readinessInterval. */
import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LeaderElectionModule, LeaderHealthIndicator, LeaderService } from '../../lib/index.js';
import { LeaseApiServer } from '../../lib/testing.js';

@Injectable()
class Database {
  up = false;

  ping(): Promise<void> {
    return this.up ? Promise.resolve() : Promise.reject(new Error('no connection to the database'));
  }
}

@Module({ providers: [Database], exports: [Database] })
class DatabaseModule {}

let server: LeaseApiServer;
let app: INestApplicationContext;

beforeEach(async () => {
  server = await LeaseApiServer.start();
});
afterEach(async () => {
  await app.close();
  await server.stop();
});

it('an application follows, and reports why, until the check passes; it hands over when the check fails', async () => {
  app = await NestFactory.createApplicationContext(
    LeaderElectionModule.forRootAsync({
      imports: [DatabaseModule],
      inject: [Database],
      useFactory: (database: Database) => ({
        leaseName: 'x',
        leaseNamespace: 'default',
        kubernetes: { server: server.url },
        readinessCheck: () => database.ping(),
        readinessInterval: 20,
      }),
    }),
    { logger: false },
  );
  const leader = app.get(LeaderService);
  const database = app.get(Database, { strict: false });
  for await (const state of leader.changes()) if ('error' in state && state.error !== undefined) break;
  expect(app.get(LeaderHealthIndicator).isHealthy()).toMatchObject({
    leader: {
      status: 'up',
      state: 'following',
      error: { code: 'LEADER_NOT_READY', message: expect.stringContaining('no connection to the database') },
    },
  });
  database.up = true;
  await leader.whenLeader();

  const stopped = new Promise((resolve) => {
    leader.on('stoppedLeading', ({ reason }) => {
      resolve(reason);
    });
  });
  database.up = false;
  expect(await stopped).toBe('steppedDown');
  expect(leader.isLeader()).toBe(false);
  expect(server.leases.map(({ spec }) => spec.holderIdentity)).toEqual(['']);
});
