/** docs/recipes/cron.md: two replicas, whose electors and clocks the test moves. */
import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { LeaderElectionTestingModule, ScriptedElector } from 'nestjs-leader/testing';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Database } from './database.js';
import { Feed } from './feed.js';
import { Feeds } from './feeds.service.js';
import { NightlyReports } from './nightly-reports.service.js';
import { Reports } from './reports.service.js';
import { Hold, shown } from './rig.js';
import { Shops } from './shops.js';
import { SqliteDatabase, SqliteStore } from './sqlite-database.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MONDAY = Date.parse('2026-11-16T00:00:00Z');

/** All reports that were begun, in order, whoever made them. */
let made: string[];
let store: SqliteStore;

beforeEach(() => {
  made = [];
  store = new SqliteStore(shown('last-runs.sql'));
  vi.useFakeTimers({
    now: MONDAY,
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'],
  });
  onTestFinished(() => {
    vi.useRealTimers();
  });
});

class ShopsOf extends Shops {
  /** Called with each report, which is made when it resolves. */
  making: () => Promise<unknown> | void = () => undefined;

  constructor(private readonly replica: string) {
    super();
  }

  async all() {
    return ['north', 'south'];
  }

  async makeReport(shop: string, day: string) {
    made.push(`${this.replica}: ${shop} ${day}`);
    await this.making();
  }
}

async function replica(name: string, job: typeof Reports | typeof NightlyReports | typeof Feeds) {
  const shops = new ShopsOf(name);
  const database = new SqliteDatabase(store);
  const module = await Test.createTestingModule({
    imports: [ScheduleModule.forRoot(), LeaderElectionTestingModule.forRoot({ identity: name })],
    providers: [job, { provide: Shops, useValue: shops }, { provide: Database, useValue: database }],
  }).compile();
  module.useLogger(false);
  const app = await module.init();
  onTestFinished(() => app.close());
  return { app, shops, database, elector: app.get(ScriptedElector) };
}

describe('the job', () => {
  it('runs in the leader only', async () => {
    const one = await replica('one', Reports);
    const two = await replica('two', Reports);
    one.elector.grant();
    await vi.advanceTimersByTimeAsync(3 * HOUR);
    one.elector.revoke();
    two.elector.grant();
    await vi.advanceTimersByTimeAsync(DAY);
    expect(made).toEqual([
      'one: north 2026-11-16',
      'one: south 2026-11-16',
      'two: north 2026-11-17',
      'two: south 2026-11-17',
    ]);
  });

  it('stops between two shops when the term is over', async () => {
    const one = await replica('one', Reports);
    one.elector.grant();
    one.shops.making = () => one.elector.revoke();
    await vi.advanceTimersByTimeAsync(3 * HOUR);
    expect(made).toEqual(['one: north 2026-11-16']);
  });

  it('does not run beside itself', async () => {
    const one = await replica('one', Reports);
    one.elector.grant();
    const hold = new Hold();
    one.shops.making = () => hold.wait();
    await vi.advanceTimersByTimeAsync(2 * DAY);
    expect(made).toEqual(['one: north 2026-11-16']);
    hold.goOn();
  });
});

describe('the run that is due', () => {
  it('is made once a day, also when nobody leads at its time, and once when leaders change', async () => {
    const one = await replica('one', NightlyReports);
    const two = await replica('two', NightlyReports);
    await vi.advanceTimersByTimeAsync(2 * HOUR + 10 * MINUTE);
    expect(made).toEqual([]);
    one.elector.grant({ fencingToken: 10n });
    await vi.advanceTimersByTimeAsync(MINUTE);
    one.elector.revoke();
    two.elector.grant({ fencingToken: 20n });
    await vi.advanceTimersByTimeAsync(HOUR);
    expect(made).toEqual(['one: north 2026-11-16', 'one: south 2026-11-16']);
  });

  it('is begun anew by the next leader when it was cut short', async () => {
    const one = await replica('one', NightlyReports);
    const two = await replica('two', NightlyReports);
    one.shops.making = () => one.elector.revoke();
    one.elector.grant({ fencingToken: 10n });
    await vi.advanceTimersByTimeAsync(2 * HOUR);
    two.elector.grant({ fencingToken: 20n });
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(made).toEqual(['one: north 2026-11-16', 'two: north 2026-11-16', 'two: south 2026-11-16']);
  });

  it('is not made again because a leader of the past comes late', async () => {
    vi.setSystemTime(MONDAY + DAY - 2 * MINUTE); // so that the next day is near
    const one = await replica('one', NightlyReports);
    const two = await replica('two', NightlyReports);
    const hold = new Hold();
    one.database.onItsWay = (statement) => (statement.includes('SET day') ? hold.wait() : undefined);
    one.elector.grant({ fencingToken: 10n });
    await vi.advanceTimersByTimeAsync(MINUTE);
    await hold.reached;
    one.elector.revoke();
    two.elector.grant({ fencingToken: 20n });
    await vi.advanceTimersByTimeAsync(2 * HOUR + 2 * MINUTE);
    expect(made.slice(-2)).toEqual(['two: north 2026-11-17', 'two: south 2026-11-17']);
    made = [];
    hold.goOn();
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(made).toEqual([]);
  });
});

it('a job in the registry is skipped by a follower without a complaint', async () => {
  const rejections: unknown[] = [];
  const note = (reason: unknown) => rejections.push(reason);
  process.on('unhandledRejection', note);
  onTestFinished(() => {
    process.off('unhandledRejection', note);
  });
  const { app, elector } = await replica('one', Feeds);
  let read = 0;
  class Counted extends Feed {
    readonly url = 'https://example.com/feed';
    async read() {
      read += 1;
    }
  }
  app.get(Feeds).add(new Counted(), 1_000);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(read).toBe(0);
  elector.grant();
  await vi.advanceTimersByTimeAsync(3_000);
  expect([read, rejections]).toEqual([3, []]);
  app.get(SchedulerRegistry).deleteInterval('https://example.com/feed');
  await vi.advanceTimersByTimeAsync(3_000);
  expect(read).toBe(3);
});
