/** What the recipes ask of a database, whichever it is. */

export type Value = string | number | bigint;

export interface Outcome {
  /** What the statement returned, for those that do. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** How many rows it wrote, or returned. */
  readonly affectedRows: number;
}

export type Run = (statement: string, values?: Readonly<Record<string, Value>>) => Promise<Outcome>;

export abstract class Database {
  abstract run(...args: Parameters<Run>): ReturnType<Run>;

  /** Commits when `work` resolves, rolls back when it rejects. */
  abstract transaction<T>(work: (run: Run) => Promise<T>): Promise<T>;
}
