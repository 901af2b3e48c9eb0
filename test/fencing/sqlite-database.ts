import Sqlite from 'libsql';
import { Database, type Outcome, type Value } from './database.js';

/** How long a statement waits for another process' transaction. */
const BUSY_TIMEOUT_MS = 60_000;

/** A database in a file that other processes also write. */
export class SqliteDatabase extends Database {
  readonly #connection: Sqlite.Database;

  /** After `busyTimeout` milliseconds of another's transaction a statement fails with the code SQLITE_BUSY, without effect. */
  constructor(path: string, busyTimeout = BUSY_TIMEOUT_MS) {
    super();
    this.#connection = new Sqlite(path, { timeout: busyTimeout });
    this.#connection.pragma('journal_mode = WAL');
    // Integers as bigints: a token may be too large for a number to be exact.
    this.#connection.defaultSafeIntegers(true);
  }

  run(statement: string, values: Readonly<Record<string, Value>> = {}): Promise<Outcome> {
    const prepared = this.#connection.prepare<[Readonly<Record<string, Value>>]>(statement);
    if (!prepared.reader) {
      return Promise.resolve({ rows: [], affectedRows: prepared.run(values).changes });
    }
    const rows = prepared.all(values) as Record<string, unknown>[];
    return Promise.resolve({ rows, affectedRows: rows.length });
  }

  close(): void {
    this.#connection.close();
  }
}
