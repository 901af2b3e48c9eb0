/** The database that all replicas of a recipe have in common. */
import { Module } from '@nestjs/common';
import { Database } from './database.js';
import { SqliteDatabase, SqliteStore } from './sqlite-database.js';

export const database = new SqliteDatabase(new SqliteStore(''));

@Module({ providers: [{ provide: Database, useValue: database }], exports: [Database] })
export class DatabaseModule {}
