/** A process with its own connection to the database, which runs the statements it is sent and replies with the outcome. */
import type { Value } from './database.js';
import { SqliteDatabase } from './sqlite-database.js';

/** A statement to run. */
export interface Order {
  readonly number: number;
  readonly statement: string;
  readonly values: Readonly<Record<string, Value>>;
}

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: writer-process DATABASE');
const database = new SqliteDatabase(path);

process.on('message', ({ number, statement, values }: Order) => {
  void database.run(statement, values).then((outcome) => process.send?.({ number, outcome }));
});
process.send?.({ ready: true });
