/** What the recipe's store asks of a database, whichever it is. */

export type Value = string | bigint;

export interface Outcome {
  /** What the statement returned, for those that do. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** How many rows it wrote, or returned. */
  readonly affectedRows: number;
}

export abstract class Database {
  abstract run(statement: string, values?: Readonly<Record<string, Value>>): Promise<Outcome>;
}
