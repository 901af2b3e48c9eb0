/** The recipe's statements, run by two processes on one database. Each saves a write that is lost without it. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { scratchFolder } from '../rig/guard.js';
import { Writer, buildProcesses } from './processes.js';
import { example, unguarded } from './recipe.js';

const SCHEMA = example('schema.sql');
const SAVE = example('save.sql');
const UPSERT = example('upsert.sql');
const CLAIM = example('claim.sql');
const FENCE = example('fence.sql');
const READ = 'SELECT body FROM invoices WHERE id = :id';

const OLD = '10';
const NEW = '20';
const leaseName = 'billing';

let build: Awaited<ReturnType<typeof buildProcesses>>;
/** The old leader and the new one, which share nothing but the database. */
let old: Writer;
let now: Writer;
const writers: Writer[] = [];

/** The body and token of each invoice. */
async function invoices(): Promise<Record<string, [body: unknown, token: unknown]>> {
  const { rows } = await now.run('SELECT * FROM invoices ORDER BY id');
  return Object.fromEntries(rows.map((row) => [String(row['id']), [row['body'], row['fencing_token']]]));
}

async function insert(...ids: string[]): Promise<void> {
  for (const id of ids) await now.run(UPSERT, { id, body: '', token: '0' });
}

beforeAll(async () => {
  build = await buildProcesses();
});
afterAll(() => build.remove());

async function start(database: string): Promise<Writer> {
  const writer = new Writer(build.folder, database);
  writers.push(writer);
  await writer.said({ ready: true });
  return writer;
}

beforeEach(async () => {
  const database = join(await scratchFolder('fencing'), 'invoices.db');
  // One after the other: the first prepares the file for two writers.
  now = await start(database);
  old = await start(database);
  await now.run(SCHEMA);
  await now.run(example('fence-schema.sql'));
});
afterEach(() => Promise.all(writers.splice(0).map((writer) => writer.kill())));

describe.each([
  ['a write', SAVE, ['ada']],
  ['an insert or write, of an existing row', UPSERT, ['ada']],
  ['an insert or write, of a new row', UPSERT, []],
])('%s', (_, statement, present) => {
  /** Stops the old leader before its write, lets the new one write, then continues the old one. Returns the affected rows. */
  async function lateWrite(sql: string): Promise<{ ofNew: number; ofOld: number }> {
    await insert(...present);
    await old.run(READ, { id: 'ada' });
    old.freeze();
    const late = old.run(sql, { id: 'ada', body: 'of the old leader', token: OLD });
    const { affectedRows: ofNew } = await now.run(sql, { id: 'ada', body: 'of the new leader', token: NEW });
    old.thaw();
    return { ofNew, ofOld: (await late).affectedRows };
  }

  it('is refused when a later leader has written', async () => {
    expect(await lateWrite(statement)).toEqual({ ofNew: 1, ofOld: 0 });
    expect(await invoices()).toEqual({ ada: ['of the new leader', 20n] });
  });

  it('loses what the later leader has written when it has no guard', async () => {
    expect(await lateWrite(unguarded(statement))).toEqual({ ofNew: 1, ofOld: 1 });
    expect(await invoices()).toEqual({ ada: ['of the old leader', 10n] });
  });

  it('is accepted again from the same leader, and from a later one', async () => {
    await insert(...present);
    for (const [writer, token] of [
      [old, OLD],
      [old, OLD],
      [now, NEW],
    ] as const) {
      expect(await writer.run(statement, { id: 'ada', body: 'x', token })).toMatchObject({ affectedRows: 1 });
    }
  });
});

describe('read, work, write', () => {
  /** The new leader reads, the old leader's late write arrives, and the new leader writes on the basis of its read. */
  async function lateWriteInBetween(read: string): Promise<{ ofOld: number; ofNew: number }> {
    await insert('ada');
    old.freeze();
    const late = old.run(SAVE, { id: 'ada', body: 'line of the old leader; ', token: OLD });
    const [row] = (await now.run(read, { id: 'ada', token: NEW })).rows;
    old.thaw();
    const { affectedRows: ofOld } = await late;
    const body = `${String(row?.['body'])}line of the new leader; `;
    const { affectedRows: ofNew } = await now.run(SAVE, { id: 'ada', body, token: NEW });
    return { ofOld, ofNew };
  }

  it('loses an accepted write if the read does not claim the row, although every write is guarded', async () => {
    expect(await lateWriteInBetween(READ)).toEqual({ ofOld: 1, ofNew: 1 });
    expect(await invoices()).toEqual({ ada: ['line of the new leader; ', 20n] });
  });

  it('loses no accepted write if the read claims the row', async () => {
    expect(await lateWriteInBetween(CLAIM)).toEqual({ ofOld: 0, ofNew: 1 });
    expect(await invoices()).toEqual({ ada: ['line of the new leader; ', 20n] });
  });

  it('sees a late write that came before the claim', async () => {
    await insert('ada');
    await old.run(SAVE, { id: 'ada', body: 'line of the old leader; ', token: OLD });
    expect((await now.run(CLAIM, { id: 'ada', token: NEW })).rows).toEqual([
      { body: 'line of the old leader; ' },
    ]);
  });

  it('keeps the old leader from claiming, and from writing what it had claimed', async () => {
    await insert('ada');
    expect((await old.run(CLAIM, { id: 'ada', token: OLD })).affectedRows).toBe(1);
    expect((await now.run(CLAIM, { id: 'ada', token: NEW })).affectedRows).toBe(1);
    expect((await old.run(SAVE, { id: 'ada', body: 'late', token: OLD })).affectedRows).toBe(0);
    expect((await old.run(CLAIM, { id: 'ada', token: OLD })).rows).toEqual([]);
    expect(await invoices()).toEqual({ ada: ['', 20n] });
  });
});

describe('several rows', () => {
  const ROWS = ['ada', 'grace'];

  /** Saves all rows, or none if the fence refuses. */
  async function saveAll(
    writer: Writer,
    token: string,
    rows: readonly string[],
    fence = FENCE,
  ): Promise<'saved' | 'refused'> {
    await writer.run('BEGIN IMMEDIATE');
    const { affectedRows } = await writer.run(fence, { leaseName, token });
    if (affectedRows === 0) {
      await writer.run('ROLLBACK');
      return 'refused';
    }
    for (const id of rows) {
      await writer.run('UPDATE invoices SET body = body || :token WHERE id = :id', { id, token });
    }
    await writer.run('COMMIT');
    return 'saved';
  }

  it('are half written by the old leader if each has only its own guard', async () => {
    await insert(...ROWS);
    await now.run(SAVE, { id: 'ada', body: 'new', token: NEW });
    const late = ROWS.map(async (id) => (await old.run(SAVE, { id, body: 'old', token: OLD })).affectedRows);
    expect(await Promise.all(late)).toEqual([0, 1]);
    expect(await invoices()).toEqual({ ada: ['new', 20n], grace: ['old', 10n] });
  });

  it('are all protected from the old leader by one fence', async () => {
    await insert(...ROWS);
    expect(await saveAll(old, OLD, ROWS)).toBe('saved');
    expect(await saveAll(now, NEW, ['ada'])).toBe('saved');
    expect(await saveAll(old, OLD, ROWS)).toBe('refused');
    expect(await saveAll(now, NEW, ['grace'])).toBe('saved');
    expect(await invoices()).toEqual({ ada: ['1020', 0n], grace: ['1020', 0n] });
  });

  it('are not protected if the fence has no guard', async () => {
    await insert(...ROWS);
    const open = unguarded(FENCE);
    expect(await saveAll(now, NEW, ['ada'], open)).toBe('saved');
    expect(await saveAll(old, OLD, ROWS, open)).toBe('saved');
    expect(await invoices()).toEqual({ ada: ['2010', 0n], grace: ['10', 0n] });
  });

  it('are not touched by the new leader while the old one is inside the fence', async () => {
    await insert(...ROWS);
    await old.run('BEGIN IMMEDIATE');
    await old.run(FENCE, { leaseName, token: OLD });
    old.freeze();
    const late = old.run("UPDATE invoices SET body = 'old'").then(() => old.run('COMMIT'));
    const saved = saveAll(now, NEW, ROWS);
    old.thaw();
    await late;
    expect(await saved).toBe('saved');
    expect(await invoices()).toEqual({ ada: ['old20', 0n], grace: ['old20', 0n] });
  });

  it('lose their token when they are deleted; the fence does not', async () => {
    await insert('ada');
    await saveAll(now, NEW, []);
    await now.run('DELETE FROM invoices');
    expect(await saveAll(old, OLD, [])).toBe('refused');
    expect(await old.run(UPSERT, { id: 'ada', body: 'back', token: OLD })).toMatchObject({ affectedRows: 1 });
  });
});

describe('tokens', () => {
  const TWO_TO_53 = 2n ** 53n;

  it.each([
    ['of more digits', '9', '10'],
    ['beyond what a number can tell apart', String(TWO_TO_53), String(TWO_TO_53 + 1n)],
    ['given as bigints', TWO_TO_53, TWO_TO_53 + 1n],
  ])('%s are larger', async (_, smaller, larger) => {
    await insert('ada');
    const save = async (token: string | bigint): Promise<number> =>
      (await now.run(SAVE, { id: 'ada', body: 'x', token })).affectedRows;
    expect([await save(smaller), await save(larger), await save(smaller)]).toEqual([1, 1, 0]);
    expect(await invoices()).toEqual({ ada: ['x', BigInt(larger)] });
  });

  it('compared as text keep out the new leader', async () => {
    await now.run('DROP TABLE invoices');
    await now.run(SCHEMA.replace('BIGINT', 'TEXT'));
    await insert('ada');
    await old.run(SAVE, { id: 'ada', body: 'old', token: '9' });
    expect(await now.run(SAVE, { id: 'ada', body: 'new', token: '10' })).toMatchObject({ affectedRows: 0 });
  });
});
