/** One database in memory, and each replica's way to it, on which a test can hold things up. */
import Sqlite from 'libsql';
import { Database, type Outcome, type Run, type Value } from './database.js';

export class SqliteStore {
  readonly #connection = new Sqlite(':memory:');
  /** There is one connection, so transactions come one after another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(schema: string) {
    this.#connection.exec(schema);
  }

  run(statement: string, values: Readonly<Record<string, Value>> = {}): Outcome {
    const prepared = this.#connection.prepare<[Readonly<Record<string, Value>>]>(statement);
    if (!prepared.reader) return { rows: [], affectedRows: prepared.run(values).changes };
    const rows = prepared.all(values) as Record<string, unknown>[];
    return { rows, affectedRows: rows.length };
  }

  async transaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    const mine = this.#last.then(async () => {
      this.run('BEGIN IMMEDIATE');
      try {
        const result = await work(async (...args) => this.run(...args));
        this.run('COMMIT');
        return result;
      } catch (error) {
        this.run('ROLLBACK');
        throw error;
      }
    });
    this.#last = mine.catch(() => undefined);
    return mine;
  }
}

export class SqliteDatabase extends Database {
  /** Resolves when the statement, or the transaction, may go on to the database. */
  onItsWay: (statement: string) => Promise<void> | void = () => undefined;

  constructor(readonly store: SqliteStore) {
    super();
  }

  async run(...args: Parameters<Run>): Promise<Outcome> {
    await this.onItsWay(args[0]);
    return this.store.run(...args);
  }

  async transaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    await this.onItsWay('BEGIN');
    return this.store.transaction(work);
  }
}
