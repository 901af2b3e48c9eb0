/** Named elections, their events through @nestjs/event-emitter, and the testing kit in Vitest. */
import { Injectable, Logger, Module } from '@nestjs/common';
import { EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { Test } from '@nestjs/testing';
import {
  InjectLeader,
  LeaderElectionModule,
  LeaderEvents,
  LeaderService,
  OnlyWhenLeader,
  getElectorToken,
  getLeaderToken,
  type LeaderChangedEvent,
  type LeaderFailedEvent,
  type LeaderStartedEvent,
  type LeaderStoppedEvent,
} from 'nestjs-leader';
import {
  LeaderElectionTestingModule,
  LeaseApiServer,
  SimulatedTime,
  type ScriptedElector,
} from 'nestjs-leader/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

@Injectable()
class Audit {
  readonly heard: string[] = [];

  @OnEvent(LeaderEvents.started)
  started({ election, term }: LeaderStartedEvent): void {
    this.heard.push(`${election} started ${term.fencingToken}`);
  }

  @OnEvent(LeaderEvents.stopped)
  stopped({ election, reason }: LeaderStoppedEvent): void {
    this.heard.push(`${election} stopped ${reason}`);
  }

  @OnEvent(LeaderEvents.changed)
  changed({ election, leader }: LeaderChangedEvent): void {
    this.heard.push(`${election} led by '${leader}'`);
  }

  @OnEvent(LeaderEvents.failed)
  failed({ error }: LeaderFailedEvent): void {
    this.heard.push(`${error.code} ${String((error.cause as Error).message)}`);
  }
}

describe('events', () => {
  it('are emitted from the first to the last, and a listener that rejects is told of', async () => {
    vi.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    @Injectable()
    class Failing {
      @OnEvent(LeaderEvents.started, { suppressErrors: false })
      async started(): Promise<void> {
        throw new Error('planted');
      }
    }
    const module = await Test.createTestingModule({
      imports: [
        EventEmitterModule.forRoot(),
        LeaderElectionTestingModule.forRoot({ name: 'billing', startAs: 'leader' }),
      ],
      providers: [Audit, Failing],
    }).compile();
    await module.init();
    const { heard } = module.get(Audit);
    await vi.waitUntil(() => heard.length === 3);
    module.get<ScriptedElector>(getElectorToken('billing')).revoke('superseded', 'other');
    await module.close();
    expect(heard).toEqual([
      'billing started 1',
      "billing led by 'me'",
      'LEADER_LISTENER_FAILED planted',
      'billing stopped superseded',
      "billing led by 'other'",
    ]);
  });
});

describe('named elections', () => {
  it('of feature modules, sync and async, share the connections of one server', async () => {
    const server = await LeaseApiServer.start();
    const options = (leaseName: string) => ({
      leaseName,
      leaseNamespace: 'default',
      kubernetes: { server: server.url },
    });
    @Injectable()
    class Invoices {
      constructor(@InjectLeader('billing') readonly leader: LeaderService) {}

      @OnlyWhenLeader({ election: 'billing' })
      send(): string {
        return 'sent';
      }
    }
    @Module({
      imports: [LeaderElectionModule.forRoot({ name: 'billing', ...options('billing') })],
      providers: [Invoices],
    })
    class BillingModule {}
    @Module({
      imports: [
        LeaderElectionModule.forRootAsync({ name: 'reports', useFactory: async () => options('reports') }),
      ],
    })
    class ReportsModule {}
    const module = await Test.createTestingModule({ imports: [BillingModule, ReportsModule] }).compile();
    await module.init();
    await Promise.all(
      ['billing', 'reports'].map((name) => module.get<LeaderService>(getLeaderToken(name)).whenLeader()),
    );
    expect(module.get(Invoices).send()).toBe('sent');
    await vi.waitUntil(() => server.openWatches === 2);
    expect(server.openConnections).toBeLessThanOrEqual(2 + 3);
    await module.close();
    await server.stop();
  });

  it.each([
    [
      '@InjectLeader',
      () => {
        @Injectable()
        class Asking {
          constructor(@InjectLeader('biling') readonly leader: LeaderService) {}
        }
        return Asking;
      },
    ],
    [
      '@OnlyWhenLeader',
      () => {
        @Injectable()
        class Asking {
          @OnlyWhenLeader({ election: 'biling' })
          work(): void {}
        }
        return Asking;
      },
    ],
  ])('of an unknown name in %s stop the boot, and the log lists those there are', async (_, make) => {
    const logged: string[] = [];
    vi.spyOn(Logger.prototype, 'error').mockImplementation((line: unknown) => {
      logged.push(String(line));
    });
    const boot = Test.createTestingModule({
      imports: [
        LeaderElectionTestingModule.forRoot(),
        LeaderElectionTestingModule.forRoot({ name: 'billing' }),
      ],
      providers: [make()],
    }).compile();
    await expect(boot).rejects.toThrow(/biling/);
    expect(logged.join()).toContain("Known elections: 'billing', 'default'.");
  });
});

describe.each([
  ['real timers', false],
  ['fake timers', true],
])('advance() beside %s', (_, faked) => {
  it('lets a term run out, and nothing else does', async () => {
    if (faked) vi.useFakeTimers();
    const module = await Test.createTestingModule({
      imports: [LeaderElectionTestingModule.forRoot()],
    }).compile();
    await module.init();
    const leader = module.get(LeaderService);
    module.get<ScriptedElector>(getElectorToken()).grant({ validFor: 10_000 });
    if (faked) await vi.advanceTimersByTimeAsync(60_000);
    expect(leader.term?.remaining()).toBe(10_000);
    await module.get(SimulatedTime).advance(10_000);
    expect(leader.isLeader()).toBe(false);
    await module.close();
  });
});
