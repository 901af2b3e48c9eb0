/** `overrideLeaderElection()`: a test decides who leads in the elections of an existing AppModule. */
import { Injectable, Logger, Module } from '@nestjs/common';
import { Test, type TestingModule, type TestingModuleBuilder } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  InjectLeader,
  LeaderElectionModule,
  LeaderHealthIndicator,
  LeaderService,
  OnStartedLeading,
  OnlyWhenLeader,
  getLeaderToken,
  type LeaderElectionModuleOptions,
} from '../../lib/index.js';
import {
  LeaderElectionTestingModule,
  LeaseApiServer,
  ScriptedElector,
  overrideLeaderElection,
} from '../../lib/testing.js';

let app: TestingModule | undefined;
let server: LeaseApiServer;
beforeEach(async () => {
  vi.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
  server = await LeaseApiServer.start();
});
afterEach(async () => {
  await app?.close();
  app = undefined;
  await server.stop();
  vi.restoreAllMocks();
});

@Injectable()
class Invoices {
  readonly told: string[] = [];

  constructor(
    readonly leader: LeaderService,
    @InjectLeader('billing') readonly billing: LeaderService,
  ) {}

  @OnlyWhenLeader()
  send(): string {
    return 'sent';
  }

  @OnlyWhenLeader({ election: 'billing' })
  bill(): string {
    return 'billed';
  }

  @OnStartedLeading()
  started(): void {
    this.told.push('started');
  }
}

const onServer = (): Partial<LeaderElectionModuleOptions> => ({ kubernetes: { server: server.url } });

/** An application with two elections, the second of which is created by a factory. */
function appModule(options: Partial<LeaderElectionModuleOptions> = onServer()) {
  @Module({
    imports: [
      LeaderElectionModule.forRoot({ leaseName: 'invoices', identity: 'pod-1', ...options }),
      LeaderElectionModule.forRootAsync({
        name: 'billing',
        useFactory: () => ({ leaseName: 'billing', leaseNamespace: 'default', ...onServer() }),
      }),
    ],
    providers: [Invoices],
  })
  class AppModule {}
  return AppModule;
}

function builderOf(options?: Partial<LeaderElectionModuleOptions>): TestingModuleBuilder {
  return Test.createTestingModule({ imports: [appModule(options)] });
}

async function start(builder: TestingModuleBuilder): Promise<Invoices> {
  app = await builder.compile();
  await app.init();
  return app.get(Invoices);
}

describe('all elections', () => {
  it('follow until they are told to lead, without a namespace and without a request', async () => {
    const builder = builderOf();
    const elections = overrideLeaderElection(builder);
    const invoices = await start(builder);
    expect(() => invoices.send()).toThrow(expect.objectContaining({ code: 'LEADER_NOT_LEADER' }));
    const elector = elections.elector();
    elector.grant({ fencingToken: 7n });
    expect([invoices.send(), invoices.told, invoices.leader.term?.fencingToken]).toEqual([
      'sent',
      ['started'],
      7n,
    ]);
    expect([elector.leaseName, elector.identity]).toEqual(['invoices', 'pod-1']);
    elector.revoke('superseded', 'pod-2');
    expect([invoices.leader.getLeader(), invoices.billing.isLeader()]).toEqual(['pod-2', false]);
    expect(server.requests).toEqual([]);
  });

  it('lead from the start, and their time is up to the test', async () => {
    const builder = builderOf({ ...onServer(), termLimit: 60_000 });
    const { time, elector } = overrideLeaderElection(builder, { startAs: 'leader' });
    const invoices = await start(builder);
    expect([invoices.send(), invoices.bill()]).toEqual(['sent', 'billed']);
    await time.advance(60_000);
    expect([invoices.leader.isLeader(), invoices.billing.isLeader()]).toEqual([false, true]);
    elector('billing').revoke();
    await time.advance(5_000);
    expect(invoices.billing.leaderlessForMs).toBe(5_000);
  });

  it('may lose a term with onLost: exit, and the process goes on', async () => {
    const exit = vi.spyOn(process, 'exit').mockReturnValue(undefined as never);
    const builder = builderOf({ ...onServer(), onLost: 'exit' });
    const elections = overrideLeaderElection(builder, { startAs: 'leader' });
    await start(builder);
    elections.elector().revoke('deadline');
    expect(exit).not.toHaveBeenCalled();
  });

  it('lead or follow as the test says, also with enabled: false or campaign: false', async () => {
    for (const options of [{ enabled: false }, { campaign: false }]) {
      const builder = builderOf(options);
      const elections = overrideLeaderElection(builder);
      const invoices = await start(builder);
      expect(invoices.leader.isLeader()).toBe(false);
      elections.elector().grant();
      expect(invoices.leader.isLeader()).toBe(true);
      await app?.close();
    }
  });
});

describe('some elections', () => {
  it('are taken over, and the others are as in production', async () => {
    const builder = builderOf();
    const elections = overrideLeaderElection(builder, { elections: ['default'] });
    const invoices = await start(builder);
    await invoices.billing.whenLeader();
    expect(server.leases.map(({ metadata }) => metadata.name)).toEqual(['billing']);
    elections.elector().grant();
    expect([invoices.send(), invoices.bill()]).toEqual(['sent', 'billed']);
    expect(() => elections.elector('billing')).toThrow(
      expect.objectContaining({
        code: 'LEADER_MODULE_MISSING',
        message: expect.stringMatching(/no elector of the election 'billing': it has those of 'default'/),
      }),
    );
  });

  it('may begin otherwise than the rest: calls add up, and the later counts', async () => {
    const builder = builderOf();
    const first = overrideLeaderElection(builder);
    const second = overrideLeaderElection(builder, { elections: ['billing'], startAs: 'leader' });
    const invoices = await start(builder);
    expect([invoices.leader.isLeader(), invoices.bill()]).toEqual([false, 'billed']);
    expect(first.elector('billing')).toBe(second.elector('billing'));
    expect(first.time).toBe(second.time);
  });

  it('that do not exist are refused, before anything looks for a cluster', async () => {
    const builder = builderOf({});
    overrideLeaderElection(builder, { elections: ['biling'] });
    await expect(builder.compile()).rejects.toMatchObject({
      code: 'LEADER_MODULE_MISSING',
      message: expect.stringMatching(/'biling'.*overrideLeaderElection.*'billing', 'default'/s),
    });
  });
});

it('options that are wrong in production are wrong in the test, too', async () => {
  const builder = builderOf({ retryPeriod: -1 });
  overrideLeaderElection(builder);
  await expect(builder.compile()).rejects.toMatchObject({ code: 'LEADER_INVALID_OPTIONS' });
});

it.each([
  ['a module that was compiled already', { get: () => undefined }, {}, /the builder is an? .*: it must be/],
  ['no builder', undefined, {}, /the builder is missing: it must be what Test.createTestingModule/],
  ['another role', undefined, { startAs: 'boss' }, /startAs is 'boss': it must be 'leader' or 'follower'/],
  ['one name', undefined, { elections: 'billing' }, /elections is 'billing': it must be a list/],
  ['no name at all', undefined, { elections: [] }, /elections is .*: it must be a list/],
  ['an unknown option', undefined, { identity: 'pod-1' }, /identity: there is no such option/],
])('%s is refused', (what, builder, options, message) => {
  const given = what === 'no builder' ? undefined : (builder ?? builderOf());
  expect(() => overrideLeaderElection(given as never, options as never)).toThrow(
    expect.objectContaining({
      code: 'LEADER_INVALID_OPTIONS',
      message: expect.stringMatching(message),
    }),
  );
});

it('the electors exist when the module is compiled', () => {
  expect(() => overrideLeaderElection(builderOf()).elector()).toThrow(
    /it has those of none\. They exist when/,
  );
});

it('a call after compile(), which would change nothing, is refused', async () => {
  const builder = builderOf();
  overrideLeaderElection(builder);
  const module = await builder.compile();
  expect(() => overrideLeaderElection(builder, { startAs: 'leader' })).toThrow(
    expect.objectContaining({
      code: 'LEADER_INVALID_OPTIONS',
      violations: ['the builder has been compiled: call overrideLeaderElection() before compile()'],
    }),
  );
  await module.close();
});

it('a LeaderElectionTestingModule keeps its own elector, and metrics are as in production', async () => {
  const facts: string[] = [];
  const metrics = { meter: () => (fact: { type: string }) => void facts.push(fact.type) };
  const builder = Test.createTestingModule({
    imports: [
      LeaderElectionTestingModule.forRoot({ startAs: 'leader' }),
      LeaderElectionModule.forRoot({ name: 'billing', leaseName: 'billing', metrics }),
    ],
    providers: [Invoices],
  });
  const elections = overrideLeaderElection(builder);
  const invoices = await start(builder);
  expect(invoices.send()).toBe('sent');
  elections.elector('billing').grant();
  expect([invoices.bill(), app?.get(ScriptedElector) === elections.elector('billing')]).toEqual([
    'billed',
    false,
  ]);
  expect(facts).toContain('termBegan');
  const health = app?.get(LeaderHealthIndicator).isHealthy('leader', { election: 'billing' });
  expect(health).toMatchObject({ leader: { status: 'up', state: 'leading' } });
  expect(app?.get<LeaderService>(getLeaderToken('billing')).isLeader()).toBe(true);
});
