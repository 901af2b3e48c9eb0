/** Several elections in one application, on one API server, and applications beside each other in one process. */
import { Injectable, Logger, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  InjectLeader,
  LeaderElectionModule,
  LeaderHealthIndicator,
  LeaderService,
  getLeaderToken,
  type LeaderElectionModuleOptions,
} from '../../lib/index.js';
import { LeaseApiServer } from '../../lib/testing.js';

const names = ['billing', 'reports', 'mails', 'exports', 'imports', 'backups', 'audits', 'metering'] as const;

let server: LeaseApiServer;
let lines: string[] = [];
const modules: TestingModule[] = [];

beforeEach(async () => {
  lines = [];
  for (const level of ['log', 'warn', 'error'] as const) {
    vi.spyOn(Logger.prototype, level).mockImplementation((line: unknown) => {
      lines.push(String(line));
    });
  }
  server = await LeaseApiServer.start();
});
afterEach(async () => {
  await Promise.all(modules.splice(0).map((module) => module.close()));
  await server.stop();
  vi.restoreAllMocks();
});

function options(leaseName: string, identity = 'pod-1'): LeaderElectionModuleOptions {
  return { leaseName, leaseNamespace: 'default', identity, kubernetes: { server: server.url } };
}

async function start(...imports: NonNullable<Parameters<typeof Test.createTestingModule>[0]['imports']>) {
  const module = await Test.createTestingModule({ imports }).compile();
  modules.push(module);
  await module.init();
  return module;
}

function leaderOf(module: TestingModule, election?: string): LeaderService {
  return module.get<LeaderService>(getLeaderToken(election), { strict: false });
}

describe('elections of one application', () => {
  it('sync and async, share one pool of connections', async () => {
    const module = await start(
      LeaderElectionModule.forRoot(options('main')),
      ...names.map((name, index) =>
        index % 2 === 0
          ? LeaderElectionModule.forRoot({ name, ...options(name) })
          : LeaderElectionModule.forRootAsync({ name, useFactory: () => Promise.resolve(options(name)) }),
      ),
    );
    const elections = [undefined, ...names].map((name) => leaderOf(module, name));
    await Promise.all(elections.map((leader) => leader.whenLeader()));
    expect(server.leases.map(({ metadata }) => metadata.name).sort()).toEqual(['main', ...names].sort());
    await vi.waitUntil(() => server.openWatches === elections.length);
    // A watch keeps its own; three serve everything else.
    expect(server.openConnections).toBeLessThanOrEqual(elections.length + 3);
  });

  it('each have their own leader, log lines and health', async () => {
    const other = await start(
      LeaderElectionModule.forRoot({ name: 'reports', ...options('reports', 'pod-0') }),
    );
    await leaderOf(other, 'reports').whenLeader();
    const module = await start(
      LeaderElectionModule.forRoot({ name: 'billing', ...options('billing') }),
      LeaderElectionModule.forRootAsync({ name: 'reports', useFactory: () => options('reports') }),
    );
    const [billing, reports] = [leaderOf(module, 'billing'), leaderOf(module, 'reports')];
    await billing.whenLeader();
    await vi.waitUntil(() => reports.getLeader() === 'pod-0');

    expect([billing.isLeader(), reports.isLeader()]).toEqual([true, false]);
    const health = module.get(LeaderHealthIndicator, { strict: false });
    expect(health.isHealthy('b', { election: 'billing' })).toMatchObject({
      b: { state: 'leading', leader: 'pod-1' },
    });
    expect(health.isHealthy('r', { election: 'reports' })).toMatchObject({
      r: { state: 'following', leader: 'pod-0' },
    });
    const said = lines.filter((line) => line.includes('[billing]') || line.includes('[reports]'));
    expect(said).toEqual(
      expect.arrayContaining([
        "Campaigning for 'billing' [billing] as pod-1",
        "Campaigning for 'reports' [reports] as pod-1",
        expect.stringMatching(/^Leading 'billing' \[billing\] as pod-1/),
        "'reports' [reports] is led by pod-0",
      ]),
    );
  });
});

describe('a feature module', () => {
  const settings = (name: string) => LeaderElectionModule.forRoot({ name, ...options(name) });

  it('imports its own election; two modules that share one import the same constant', async () => {
    const billing = settings('billing');
    @Injectable()
    class Invoices {
      constructor(@InjectLeader('billing') readonly leader: LeaderService) {}
    }
    @Module({ imports: [billing], providers: [Invoices] })
    class InvoicesModule {}
    @Module({ imports: [billing] })
    class DunningModule {}
    @Module({ imports: [settings('reports')] })
    class ReportsModule {}

    const module = await start(InvoicesModule, DunningModule, ReportsModule);
    const { leader } = module.get(Invoices, { strict: false });
    await leader.whenLeader();
    expect(leader).toBe(leaderOf(module, 'billing'));
    expect(leaderOf(module, 'reports').election).toBe('reports');
  });

  it('keeps its election to itself with isGlobal: false', async () => {
    @Module({
      imports: [LeaderElectionModule.forRoot({ name: 'billing', isGlobal: false, ...options('billing') })],
    })
    class BillingModule {}
    @Injectable()
    class Outside {
      constructor(@InjectLeader('billing') readonly leader: LeaderService) {}
    }
    @Module({ providers: [Outside] })
    class OtherModule {}
    await expect(start(BillingModule, OtherModule)).rejects.toThrow(/"LeaderService:billing" at index \[0\]/);
  });
});

describe('two applications in one process', () => {
  it('with elections of the same names do not touch each other', async () => {
    const make = (identity: string) =>
      start(
        LeaderElectionModule.forRoot(options('main', identity)),
        LeaderElectionModule.forRoot({ name: 'billing', ...options('billing', identity) }),
      );
    const one = await make('one');
    await Promise.all([leaderOf(one).whenLeader(), leaderOf(one, 'billing').whenLeader()]);
    const two = await make('two');
    await vi.waitUntil(
      () => leaderOf(two, 'billing').getLeader() === 'one' && leaderOf(two).getLeader() === 'one',
    );
    const taken = [leaderOf(two).whenLeader(), leaderOf(two, 'billing').whenLeader()];

    await one.close();
    await Promise.all(taken);
    expect([leaderOf(one).state.kind, leaderOf(one, 'billing').isLeader()]).toEqual(['stopped', false]);
    expect([leaderOf(two).isLeader(), leaderOf(two, 'billing').isLeader()]).toEqual([true, true]);
    expect(server.openWatches).toBeLessThanOrEqual(2);
  });
});
