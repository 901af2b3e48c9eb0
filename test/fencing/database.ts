/** What the recipe's store needs of any database. */

export type Value = string | bigint;

export interface Outcome {
  /** The rows that the statement returned, if it returns any. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** How many rows it wrote, or returned. */
  readonly affectedRows: number;
}

export abstract class Database {
  abstract run(statement: string, values?: Readonly<Record<string, Value>>): Promise<Outcome>;
}
