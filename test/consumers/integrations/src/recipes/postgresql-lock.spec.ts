/** docs/recipes/postgresql-lock.md: two replicas of its module, without a cluster. Its own spec runs the contract of the lock. */
import { NestFactory } from '@nestjs/core';
import { LeaderService } from 'nestjs-leader';
import pg from 'pg';
import { expect, it } from 'vitest';
import { BillingModule } from './lock.module.js';

it('hands the lease over from replica to replica, with growing tokens', async () => {
  const start = () => NestFactory.createApplicationContext(BillingModule, { logger: false });
  const first = await start();
  const term = await first.get(LeaderService).whenLeader();
  const second = await start();
  const next = second.get(LeaderService).whenLeader();
  expect(second.get(LeaderService).isLeader()).toBe(false);
  await first.close();
  expect((await next).fencingToken).toBeGreaterThan(term.fencingToken);
  await second.close();
  const client = new pg.Client(process.env['DATABASE_URL']);
  await client.connect();
  const { rows } = await client.query<{ holder: string }>(
    "SELECT record ->> 'holderIdentity' AS holder FROM lease WHERE name = 'billing'",
  );
  expect(rows).toEqual([{ holder: '' }]);
  await client.end();
});
