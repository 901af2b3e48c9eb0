/** docs/recipes/multi-tenant.md: elections that replicas share out. */
import { leaseServerOfEnvironment } from './rig.js';
import { Global, Module, type INestApplicationContext, type Type } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { LeaderService, getLeaderToken } from 'nestjs-leader';
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { Crm } from './crm.js';
import { shardModules } from './shard.module.js';
import { tenantModule } from './tenant.module.js';
import { Tenants } from './tenants.js';

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }); // the jobs' time, not the elections'
  onTestFinished(() => {
    vi.useRealTimers();
  });
  await leaseServerOfEnvironment();
});

class CrmOf extends Crm {
  readonly synced: string[] = [];

  async sync(tenant: string) {
    this.synced.push(tenant);
  }
}

class Replica {
  readonly #leaders: LeaderService[];

  constructor(
    readonly app: INestApplicationContext,
    readonly crm: CrmOf,
    elections: string[],
  ) {
    this.#leaders = elections.map((name) => app.get<LeaderService>(getLeaderToken(name), { strict: false }));
  }

  get led(): number {
    return this.#leaders.filter((leader) => leader.isLeader()).length;
  }

  /** Resolves when it leads so many. */
  leads(count: number): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.led === count) resolve();
      };
      for (const leader of this.#leaders) leader.on('stateChanged', look);
      look();
    });
  }
}

async function replica(modules: Type[], elections: string[], tenants: string[]): Promise<Replica> {
  const crm = new CrmOf();
  @Global()
  @Module({
    providers: [
      { provide: Crm, useValue: crm },
      { provide: Tenants, useValue: { all: async () => tenants } },
    ],
    exports: [Crm, Tenants],
  })
  class CrmModule {}
  const module = await Test.createTestingModule({
    imports: [ScheduleModule.forRoot(), CrmModule, ...modules],
  }).compile();
  module.useLogger(false);
  const app = await module.init();
  onTestFinished(() => app.close());
  return new Replica(app, crm, elections);
}

/** Two, of which the second has got its share. */
async function pair(...of: Parameters<typeof replica>): Promise<[Replica, Replica]> {
  const one = await replica(...of);
  const count = of[1].length;
  await one.leads(count);
  const two = await replica(...of);
  await Promise.all([one.leads(count / 2), two.leads(count / 2)]);
  return [one, two];
}

it('each tenant is worked on by one replica, and both have their share', async () => {
  const tenants = ['acme', 'globex', 'initech', 'umbrella'];
  const [one, two] = await pair(tenants.map(tenantModule), tenants, []);
  await vi.advanceTimersByTimeAsync(10_000);
  expect([...one.crm.synced, ...two.crm.synced].sort()).toEqual(tenants);
  expect(one.crm.synced).toHaveLength(2);
  await one.app.close();
  await two.leads(4);
});

it('with shards, a tenant that is added is worked on without a restart, by one replica', async () => {
  const shards = shardModules.map((_, shard) => `shard-${shard}`);
  const tenants = ['acme', 'globex'];
  const [one, two] = await pair(shardModules, shards, tenants);
  tenants.push('initech');
  await vi.advanceTimersByTimeAsync(10_000);
  expect([...one.crm.synced, ...two.crm.synced].sort()).toEqual(tenants);
});
