/** docs/recipes/fencing.md with pg, on PostgreSQL. */
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { runInFakeTerm } from 'nestjs-leader/testing';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Database } from './database.js';
import { InvoiceStore, WriteRefusedError } from './invoice-store.js';
import { statement } from './statements.js';

/** Beyond 2^53: a JavaScript number would lose the last digit. */
const LARGE = 9_007_199_254_740_993n;

let postgres: PGlite;
let server: PGLiteSocketServer;
let database: Database;
let store: InvoiceStore;

beforeAll(async () => {
  postgres = await PGlite.create();
  server = new PGLiteSocketServer({ db: postgres, host: '127.0.0.1', port: 0 });
  await server.start();
  const [PGHOST, PGPORT] = server.getServerConn().split(':');
  Object.assign(process.env, { PGHOST, PGPORT, PGUSER: 'postgres', PGDATABASE: 'postgres' });
  database = new Database();
  store = new InvoiceStore(database);
  await database.run(statement('schema.sql'));
  await database.run(statement('fence-schema.sql'));
});

afterAll(async () => {
  await database.onApplicationShutdown();
  await server.stop();
  await postgres.close();
});

beforeEach(async () => {
  await database.run('DELETE FROM invoices');
  await database.run("INSERT INTO invoices (id, body) VALUES ('ada', 'new')");
});

const bodyOf = async (id: string) =>
  (await database.run('SELECT body, fencing_token FROM invoices WHERE id = :id', { id })).rows[0];

it('a later leader writes, and an earlier one is refused', async () => {
  await runInFakeTerm({ fencingToken: LARGE }, () => store.save('ada', 'by the later one'));
  const late = runInFakeTerm({ fencingToken: LARGE - 1n }, () => store.save('ada', 'by the earlier one'));
  await expect(late).rejects.toThrow(WriteRefusedError);
  expect(await bodyOf('ada')).toEqual({ body: 'by the later one', fencing_token: String(LARGE) });
});

it('a leader that reads shuts out the earlier one', async () => {
  await runInFakeTerm({ fencingToken: 20n }, () =>
    store.change('ada', async (body) => {
      const late = runInFakeTerm({ fencingToken: 10n }, () => store.save('ada', 'late'));
      await expect(late).rejects.toThrow(WriteRefusedError);
      return `${body}, sent`;
    }),
  );
  expect(await bodyOf('ada')).toEqual({ body: 'new, sent', fencing_token: '20' });
  const late = runInFakeTerm({ fencingToken: 9n }, () => store.change('ada', (body) => body));
  await expect(late).rejects.toThrow(WriteRefusedError); // 9 is less than 20, as a number
});

it.each([
  ['upsert.sql', { id: 'grace', body: 'new' }],
  ['fence.sql', { leaseName: 'billing' }],
])('%s takes tokens that grow, and refuses a smaller one', async (name, values) => {
  const affected = async (token: bigint | string) =>
    (await database.run(statement(name), { ...values, token })).affectedRows;
  expect([await affected(9n), await affected('10'), await affected(10n), await affected('9')]).toEqual([
    1, 1, 1, 0,
  ]);
});
