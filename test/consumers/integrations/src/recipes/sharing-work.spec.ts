/** docs/sharing-work.md: slots, many elections, and a replica that is not ready. */
import { leaseServerOfEnvironment } from './rig.js';
import { Global, Module, type Type } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { LeaderService, getLeaderToken } from 'nestjs-leader';
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { AppModule, role } from './app.module.js';
import { BillingModule } from './billing.module.js';
import { database } from './database.module.js';
import { SteadyModule } from './steady.module.js';
import { MailerModule } from './mailer.module.js';
import { Mails } from './mails.js';
import { TenantsModule } from './tenants.module.js';

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }); // the jobs' time, not the elections'
  onTestFinished(() => {
    vi.useRealTimers();
  });
  await leaseServerOfEnvironment();
});

/** The fourth waits until it is closed. */
const ignoreStop = () => undefined;

/** The shards that were asked for, by whichever replica. */
let asked: number[];

class MailsOfShards extends Mails {
  async due({ shard }: { shard: number }) {
    asked.push(shard);
    return [];
  }

  async deliver() {}
}

@Global()
@Module({ providers: [{ provide: Mails, useClass: MailsOfShards }], exports: [Mails] })
class MailsModule {}

async function replica(recipe: Type) {
  const module = await Test.createTestingModule({
    imports: [ScheduleModule.forRoot(), MailsModule, recipe],
  }).compile();
  module.useLogger(false);
  const app = await module.init();
  onTestFinished(() => app.close());
  return app;
}

it('three replicas lead, each a slot of its own, and a fourth waits', async () => {
  asked = [];
  const apps = await Promise.all([1, 2, 3, 4].map(() => replica(MailerModule)));
  let leading = 0;
  await new Promise<void>((resolve) => {
    for (const app of apps) {
      void app
        .get(LeaderService)
        .whenLeader()
        .then(() => {
          leading += 1;
          if (leading === 3) resolve();
        }, ignoreStop);
    }
  });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked.sort()).toEqual([0, 1, 2]);
});

it('each tenant has an election', async () => {
  const app = await replica(TenantsModule);
  const leaders = ['acme', 'globex', 'initech'].map((name) => app.get<LeaderService>(getLeaderToken(name)));
  const terms = await Promise.all(leaders.map((leader) => leader.whenLeader()));
  expect(terms.map(({ leaseName }) => leaseName)).toEqual(['tenant-acme', 'tenant-globex', 'tenant-initech']);
});

it('a replica without its database follows, says so, and leads when it has it', async () => {
  let isUp = false;
  database.onItsWay = () => {
    if (!isUp) throw new Error('planted');
  };
  const leader = (await replica(BillingModule)).get(LeaderService);
  for await (const state of leader.changes()) {
    if (state.kind !== 'following' || state.error === undefined) continue;
    expect(state.error.code).toBe('LEADER_NOT_READY');
    break;
  }
  isUp = true;
  await leader.whenLeader();
});

it('a web process follows the worker', async () => {
  const web = (await replica(AppModule)).get(LeaderService);
  await expect(web.whenLeader()).rejects.toMatchObject({ code: 'LEADER_NOT_CAMPAIGNING' });
  role.isWorker = true;
  const worker = (await replica(AppModule)).get(LeaderService);
  await worker.whenLeader();
  for await (const _ of web.changes()) if (web.getLeader() === worker.identity) break;
});

it('a replica with a priority notes it for the others', async () => {
  const steady = (await replica(SteadyModule)).get(LeaderService);
  await steady.whenLeader();
  const other = (await replica(SteadyModule)).get(LeaderService);
  for await (const state of other.changes()) {
    if (state.kind !== 'following' || state.leader === '') continue;
    expect(state.leaderNote).toEqual({ priority: 1 });
    break;
  }
});
