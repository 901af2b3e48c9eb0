/** The contract of a lock, on the recipe's lock and a real PostgreSQL. */
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leaseLockContract } from 'nestjs-leader/testing';
import { FaultProxy } from '../rig/fault-proxy.js';
import { findPostgresql, type Postgresql } from '../rig/postgresql.js';
import { PostgresqlLeaseLock } from './postgresql-lease-lock.js';

const found = findPostgresql();

if (!found.available) {
  it(`the PostgreSQL lock is not tested here: ${found.reason}`, () => {
    expect(found.reason).not.toBe('');
  });
} else {
  describe('the PostgreSQL lock', () => {
    let server: Postgresql;
    let admin: pg.Client;
    let leases = 0;

    beforeAll(async () => {
      server = await found.start();
      admin = new pg.Client(server.url);
      await admin.connect();
      await admin.query(await readFile('test/postgresql/schema.sql', 'utf8'));
    });
    afterAll(async () => {
      await admin.end();
      await server.stop();
    });

    const contract = leaseLockContract(async () => {
      const name = `lease-${String((leases += 1))}`;
      const proxy = await FaultProxy.start(server.url);
      const locks: PostgresqlLeaseLock[] = [];
      const { port } = new URL(proxy.url);
      return {
        lock: () => {
          const config = { host: '127.0.0.1', port: Number(port), user: 'postgres', database: 'postgres' };
          const lock = new PostgresqlLeaseLock(config, name);
          locks.push(lock);
          return lock;
        },
        delete: async () => {
          await admin.query('DELETE FROM lease WHERE name = $1', [name]);
        },
        loseReplies: () => {
          proxy.halfOpen('replies');
        },
        end: async () => {
          for (const lock of locks) lock.close();
          await proxy.stop();
        },
      };
    });
    for (const { name, run } of contract) it(name, run);
  });
}
