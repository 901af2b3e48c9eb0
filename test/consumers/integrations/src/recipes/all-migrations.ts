/** What docs/recipes/migrations.md runs; the spec fills it. */
import type { Database } from './database.js';

export interface Migration {
  readonly name: string;
  up(database: Database, signal: AbortSignal): Promise<unknown>;
}

export const migrations: Migration[] = [];
