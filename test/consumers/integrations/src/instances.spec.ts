/** Elections and what needs them, where Nest makes things in its own way: factories, lazy modules, requests. */
import { Injectable, Module, Scope } from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import { Cron, Interval, ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import {
  LeaderElectionModule,
  LeaderService,
  OnStartedLeading,
  OnlyWhenLeader,
  currentTerm,
} from 'nestjs-leader';
import { LeaderElectionTestingModule } from 'nestjs-leader/testing';
import { afterEach, expect, it, vi } from 'vitest';
import { application } from './handlers/application.js';

afterEach(() => {
  vi.useRealTimers();
});

class Jobs {
  readonly ran: string[] = [];

  @OnStartedLeading()
  started(): void {
    this.ran.push('started');
  }

  @Cron('* * * * * *')
  @OnlyWhenLeader()
  cron(): void {
    this.ran.push(`cron ${currentTerm().fencingToken}`);
  }

  @OnlyWhenLeader()
  @Interval(1_000)
  interval(): void {
    this.ran.push('interval');
  }
}

it.each([
  ['an arrow function', { provide: 'JOBS', useFactory: () => new Jobs() }],
  ['a value', { provide: 'JOBS', useValue: new Jobs() }],
])('scheduled jobs of an instance from %s run in the leader', async (_way, provider) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'Date'] });
  const { app, elector } = await application({ imports: [ScheduleModule.forRoot()], providers: [provider] });
  const { ran } = app.get<Jobs>('JOBS');
  await vi.advanceTimersByTimeAsync(3_000);
  expect(ran).toEqual([]);
  elector.grant({ fencingToken: 5n });
  await vi.advanceTimersByTimeAsync(1_500);
  expect(ran[0]).toBe('started');
  expect(ran).toContain('cron 5');
  expect(ran).toContain('interval');
});

it('a lazily loaded module uses the election of its application, and may not bring one', async () => {
  @Injectable()
  class Lazy extends Jobs {}
  @Module({ providers: [Lazy] })
  class LazyModule {}
  const election = LeaderElectionModule.forRoot({ name: 'late', leaseName: 'late', leaseNamespace: 'x' });
  @Module({ imports: [election] })
  class LateModule {}
  const { app, elector } = await application({});
  const loader = app.get(LazyModuleLoader);
  const lazy = (await loader.load(() => LazyModule)).get(Lazy);
  elector.grant({ fencingToken: 6n });
  lazy.cron();
  expect(lazy.ran).toEqual(['started', 'cron 6']);
  await expect(loader.load(() => LateModule)).rejects.toMatchObject({ code: 'LEADER_MODULE_LAZY' });
});

it('the first election of an application may not come with a lazily loaded module', async () => {
  @Module({ imports: [LeaderElectionModule.forRoot({ leaseName: 'late', enabled: false })] })
  class LateModule {}
  const module = await Test.createTestingModule({}).compile();
  await module.init();
  await expect(module.get(LazyModuleLoader).load(() => LateModule)).rejects.toMatchObject({
    code: 'LEADER_MODULE_LAZY',
  });
  await module.close();
});

it('an election of requests is refused at boot, by name', async () => {
  @Injectable({ scope: Scope.REQUEST })
  class Tenant {}
  @Module({ providers: [Tenant], exports: [Tenant] })
  class TenantModule {}
  const module = await Test.createTestingModule({
    imports: [
      LeaderElectionModule.forRootAsync({
        imports: [TenantModule],
        inject: [Tenant],
        useFactory: () => ({ leaseName: 'x', enabled: false }),
      }),
    ],
  }).compile();
  await expect(module.init()).rejects.toMatchObject({
    code: 'LEADER_INVALID_OPTIONS',
    message: expect.stringContaining('depend on Tenant, which is request-scoped'),
  });
});

it('who waits for leadership hears when the application closes without having started', async () => {
  const module = await Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot()],
  }).compile();
  const waiting = expect(module.get(LeaderService).whenLeader()).rejects.toMatchObject({
    code: 'LEADER_STOPPED',
  });
  await module.close();
  await waiting;
});
