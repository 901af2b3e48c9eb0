/** The database of all replicas, a file; it also carries out what the test orders, at the very moment that matters. */
import { Injectable } from '@nestjs/common';
import Sqlite from 'libsql';
import { randomUUID } from 'node:crypto';

type Values = Readonly<Record<string, string | number | bigint>>;
type Run = (statement: string, values?: Values) => Promise<{ affectedRows: number }>;

/** How long a statement waits for another process' transaction. */
const BUSY_TIMEOUT_MS = 20_000;

@Injectable()
export class Database {
  readonly #connection = new Sqlite(process.env['STORE'] ?? '', { timeout: BUSY_TIMEOUT_MS });
  readonly #withoutGuards = process.env['GUARDS'] === 'off';
  #order: unknown;
  /** There is one connection, so transactions come one after another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor() {
    process.on('message', (order) => {
      this.#order = order;
    });
  }

  async transaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    const mine = this.#last.then(async () => {
      this.#obey('freeze before a payment', 'SIGSTOP');
      this.#connection.exec('BEGIN IMMEDIATE');
      try {
        const result = await work(async (...args) => this.#run(...args));
        this.#connection.exec('COMMIT');
        this.#obey('die after a payment', 'SIGKILL');
        return result;
      } catch (error) {
        this.#connection.exec('ROLLBACK');
        throw error;
      }
    });
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  #run(statement: string, values: Values = {}): { affectedRows: number } {
    const { changes } = this.#withoutGuards
      ? this.#connection
          .prepare<[Values]>(statement.replace('token <= :token', ':token = :token'))
          .run({ ...values, ...('key' in values && { key: randomUUID() }) })
      : this.#connection.prepare<[Values]>(statement).run(values);
    if (changes === 0 && statement.startsWith('UPDATE payment_fence')) process.send?.({ type: 'fenced' });
    return { affectedRows: changes };
  }

  #obey(order: string, signal: NodeJS.Signals): void {
    if (this.#order !== order) return;
    this.#order = undefined;
    process.kill(process.pid, signal);
  }
}
