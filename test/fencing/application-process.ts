/** A Nest application with the recipe's store. Its only job changes two invoices as soon as it leads. */
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeaderService, OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { Database } from './database.js';
import { InvoiceStore, WriteRefusedError } from './invoice-store.js';
import { unguarded } from './recipe.js';
import { SqliteDatabase } from './sqlite-database.js';
import { SAVE } from './statements.js';

/** Its messages. Tokens are bigints. */
export type Saying =
  | { readonly event: 'checked'; readonly token: bigint }
  | {
      readonly event: 'ended';
      readonly outcome: string;
      readonly isLeader: boolean;
      readonly isOver: boolean;
    };

const [identity, server, path, pause] = process.argv.slice(2);
if (identity === undefined || server === undefined || path === undefined) {
  throw new Error('usage: application-process IDENTITY API-SERVER DATABASE [stop-before-write]');
}

/** Resolves when the message was sent. */
function say(saying: Saying): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(saying, undefined, {}, () => {
      resolve();
    });
  });
}

/** @throws any reason that is not the store's: the process ends, and the test shows the error. */
function outcomeOf(reason: unknown): string {
  if (reason instanceof WriteRefusedError) return reason.message;
  throw reason;
}

@Injectable()
class Billing {
  constructor(
    private readonly leader: LeaderService,
    private readonly store: InvoiceStore,
    private readonly database: Database,
  ) {}

  /** Adds a line to both invoices, one of which is not protected. */
  @OnlyWhenLeader()
  async addLine(line: string): Promise<void> {
    const term = currentTerm();
    const [other] = (await this.database.run("SELECT body FROM invoices WHERE id = 'unguarded'")).rows;
    const body = `${String(other?.['body'])}${line}`;
    const outcome = await this.store
      .change('guarded', async (before) => {
        await say({ event: 'checked', token: term.fencingToken });
        term.throwIfOver();
        // Between this check and the writes only the machine can interfere.
        if (pause !== undefined) process.kill(process.pid, 'SIGSTOP');
        await this.database.run(unguarded(SAVE), { id: 'unguarded', body, token: term.fencingToken });
        return `${before}${line}`;
      })
      .then(() => 'written', outcomeOf);
    await say({ event: 'ended', outcome, isLeader: this.leader.isLeader(), isOver: term.isOver });
  }
}

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      identity,
      leaseName: 'billing',
      leaseNamespace: 'default',
      leaseDuration: 5_000,
      renewDeadline: 3_500,
      retryPeriod: 1_000,
      kubernetes: { server },
    }),
  ],
  providers: [Billing, InvoiceStore, { provide: Database, useValue: new SqliteDatabase(path) }],
})
class ApplicationModule {}

const app = await NestFactory.createApplicationContext(ApplicationModule, { logger: ['error', 'warn'] });
await app.get(LeaderService).whenLeader();
await app.get(Billing).addLine(`line of ${identity}; `);
