/** docs/recipes/pg-boss.md, with the real pg-boss on PostgreSQL in this process. */
import { PGlite } from '@electric-sql/pglite';
import { LeaderElectionTestingModule, ScriptedElector } from 'nestjs-leader/testing';
import { Test } from '@nestjs/testing';
import PgBoss from 'pg-boss';
import { Subject, firstValueFrom, take, toArray } from 'rxjs';
import { expect, it, onTestFinished } from 'vitest';
import { ReminderJobs } from './reminder.jobs.js';
import { Reminders } from './reminders.js';

const QUEUE = 'reminders';

async function postgres(): Promise<PGlite> {
  const database = await PGlite.create();
  onTestFinished(() => database.close());
  return database;
}

async function bossOn(database: PGlite): Promise<PgBoss> {
  const db = {
    executeSql: async (text: string, values: unknown[] = []) => {
      if (values.length > 0) return database.query(text, values);
      return { rows: (await database.exec(text)).flatMap(({ rows }) => rows) };
    },
  };
  const boss = new PgBoss({ db: db as never, schedule: false, supervise: false });
  await boss.start();
  onTestFinished(() => boss.stop({ graceful: false, wait: false }));
  return boss;
}

/** What a replica did. */
type Told = Subject<string>;

async function replica(name: string, database: PGlite, told: Told): Promise<ScriptedElector> {
  const reminders: Reminders = {
    async send(customer, _key, signal) {
      told.next(`${name} ${customer}`);
      if (customer !== 'long' || name !== 'first') return;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      signal.throwIfAborted();
    },
  };
  const module = await Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot({ identity: name })],
    providers: [
      ReminderJobs,
      { provide: PgBoss, useValue: await bossOn(database) },
      { provide: Reminders, useValue: reminders },
    ],
  }).compile();
  module.useLogger(false);
  await module.init();
  onTestFinished(() => module.close());
  return module.get(ScriptedElector);
}

it('jobs run in the leader only, and the next leader goes on', async () => {
  const database = await postgres();
  const queue = await bossOn(database);
  await queue.createQueue(QUEUE, { name: QUEUE, retryLimit: 5 });
  const told: Told = new Subject();
  const first = await replica('first', database, told);
  const second = await replica('second', database, told);
  await queue.send(QUEUE, { customer: 'ada' });
  const began = firstValueFrom(told.pipe(take(2), toArray()));
  first.grant();
  await queue.send(QUEUE, { customer: 'long' });
  expect(await began).toEqual(['first ada', 'first long']);
  const next = firstValueFrom(told.pipe(take(2), toArray()));
  first.revoke('superseded', 'second');
  second.grant();
  await queue.send(QUEUE, { customer: 'bob' });
  // The job that was stopped is tried again.
  expect((await next).sort()).toEqual(['second bob', 'second long']);
  second.revoke();
});
