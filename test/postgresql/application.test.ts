/** A Nest application on the PostgreSQL lock, and the page that shows the lock. */
import { readFile } from 'node:fs/promises';
import { Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeaderService } from 'nestjs-leader';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examplesIn } from '../package/consumer.js';
import { findPostgresql, type Postgresql } from '../rig/postgresql.js';
import { PostgresqlLeaseLock } from './postgresql-lease-lock.js';
import { configOf, prepared, statement } from './rig.js';

it.each([
  ['postgresql-lease-lock.ts', 'postgresql-lease-lock.ts'],
  ['lease-schema.sql', 'schema.sql'],
])('the page shows %s as it is compiled and run here', async (shown, file) => {
  const examples = await examplesIn('docs/recipes/postgresql-lock.md');
  expect(examples.get(shown)).toBe(await readFile(`test/postgresql/${file}`, 'utf8'));
});

const found = findPostgresql();

if (!found.available) {
  it(`applications on PostgreSQL are not tested here: ${found.reason}`, () => {
    expect(found.reason).not.toBe('');
  });
} else {
  describe('an application on the PostgreSQL lock', () => {
    let server: Postgresql;

    beforeAll(async () => {
      server = await found.start();
      await prepared(server);
    });
    afterAll(async () => {
      await server.stop();
    });

    const start = (slots = 1): Promise<INestApplicationContext> => {
      @Module({
        imports: [
          LeaderElectionModule.forRoot({
            leaseName: slots === 1 ? 'one' : 'several',
            slots,
            lock: (leaseName) => new PostgresqlLeaseLock(configOf(server.url, 'application'), leaseName),
          }),
        ],
      })
      class Application {}
      return NestFactory.createApplicationContext(Application, { logger: false });
    };
    const connections = async (): Promise<unknown> => {
      const [row] = await statement(
        server,
        "SELECT count(*)::int AS open FROM pg_stat_activity WHERE application_name = 'application'",
      );
      return (row as { open: number }).open;
    };

    it('leads, hands over to the other replica at its shutdown, and leaves no connection open', async () => {
      const first = await start();
      const term = await first.get(LeaderService).whenLeader();
      const second = await start();
      const next = second.get(LeaderService).whenLeader();
      expect(second.get(LeaderService).isLeader()).toBe(false);
      await first.close();
      const { fencingToken } = await next;
      expect(fencingToken).toBeGreaterThan(term.fencingToken);
      expect(await statement(server, "SELECT version FROM lease WHERE name = 'one'")).not.toEqual([]);
      await second.close();
      // A server ends the process of a connection a moment after the client has closed it.
      while ((await connections()) !== 0);
    });

    it('leads a slot in each replica', async () => {
      const both = await Promise.all([start(2), start(2)]);
      const terms = await Promise.all(both.map((app) => app.get(LeaderService).whenLeader()));
      expect(terms.map(({ slot }) => slot).sort()).toEqual([0, 1]);
      await Promise.all(both.map((app) => app.close()));
    });

    it.each<[what: string, config: object, code: string, told: string]>([
      ['a database that does not exist', { database: 'none' }, 'LEADER_REQUEST_INVALID', '(3D000)'],
      ['a role that does not exist', { user: 'nobody' }, 'LEADER_UNAUTHORIZED', '(28000)'],
      ['a role without permission', { user: 'reader' }, 'LEADER_FORBIDDEN', '(42501)'],
      ['a port where nobody listens', { port: 1 }, 'LEADER_UNREACHABLE', 'ECONNREFUSED'],
      ['a host with several addresses', { host: 'localhost', port: 1 }, 'LEADER_UNREACHABLE', 'ECONNREFUSED'],
      [
        'commits that a crash undoes',
        { options: '-c synchronous_commit=off' },
        'LEADER_UNREACHABLE',
        'is off',
      ],
      ['no table', { options: '-c search_path=pg_catalog' }, 'LEADER_REQUEST_INVALID', '(42P01)'],
    ])('%s is a named error that the lock throws', async (_what, config, code, told) => {
      await statement(server, 'DROP ROLE IF EXISTS reader');
      await statement(server, 'CREATE ROLE reader LOGIN');
      const lock = new PostgresqlLeaseLock({ ...configOf(server.url, 'x'), ...config }, 'x');
      const call = { signal: new AbortController().signal, newConnection: false };
      await expect(lock.get(call)).rejects.toMatchObject({
        code,
        maybeCommitted: false,
        message: expect.stringContaining(told),
      });
      lock.close();
    });
  });
}
