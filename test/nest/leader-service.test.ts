import { setImmediate } from 'node:timers/promises';
import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  LeaseElector,
  ScriptedElector,
  StaticElector,
  resolveElectionOptions,
} from '../../lib/election/index.js';
import {
  LeaderElectionModule,
  LeaderService,
  OnStartedLeading,
  OnlyWhenLeader,
  currentTerm,
  getElectorToken,
  type ElectorState,
} from '../../lib/index.js';
import { LeaderElectionTestingModule, SimulatedLease, SimulatedTime } from '../../lib/testing.js';
import { applicationOf } from './application.js';

describe('LeaderService', () => {
  it('says who leads', async () => {
    const { app, elector } = await applicationOf();
    const leader = app.get(LeaderService);
    expect([leader.isLeader(), leader.getLeader(), leader.term]).toEqual([false, '', undefined]);
    elector.grant({ fencingToken: 3n });
    expect([leader.isLeader(), leader.getLeader(), leader.term?.fencingToken]).toEqual([true, 'me', 3n]);
    elector.revoke('superseded', 'other');
    expect([leader.isLeader(), leader.getLeader(), leader.state.kind]).toEqual([false, 'other', 'following']);
    await app.close();
    expect(leader.state.kind).toBe('stopped');
  });

  it('whenLeader resolves with the term, at once if there is one', async () => {
    const { app, elector } = await applicationOf();
    const leader = app.get(LeaderService);
    const waiting = leader.whenLeader();
    elector.grant();
    expect(await waiting).toBe(leader.term);
    expect(await leader.whenLeader()).toBe(leader.term);
    await app.close();
  });

  it('whenLeader rejects when its signal fires, and when the election ends', async () => {
    const { app } = await applicationOf();
    const leader = app.get(LeaderService);
    const given = new AbortController();
    const givenUp = expect(leader.whenLeader({ signal: given.signal })).rejects.toBe('enough');
    given.abort('enough');
    await givenUp;
    const stopped = expect(leader.whenLeader()).rejects.toMatchObject({ code: 'LEADER_STOPPED' });
    await app.close();
    await stopped;
    await expect(leader.whenLeader()).rejects.toMatchObject({ code: 'LEADER_STOPPED' });
  });

  it('runAsLeader waits, runs the task in the term, hands over and returns the result', async () => {
    const { app, elector } = await applicationOf();
    const leader = app.get(LeaderService);
    const result = leader.runAsLeader(async (term) => {
      await Promise.resolve();
      expect(currentTerm()).toBe(term);
      return term.fencingToken;
    });
    elector.grant({ fencingToken: 8n });
    expect(await result).toBe(8n);
    expect(leader.isLeader()).toBe(false);
    await app.close();
  });

  it('changes() starts with the present state, and ends with the election', async () => {
    const { app, elector } = await applicationOf();
    const kinds: ElectorState['kind'][] = [];
    const reading = (async () => {
      for await (const { kind } of app.get(LeaderService).changes()) {
        kinds.push(kind);
        if (kind === 'following' && kinds.length === 1) elector.grant();
        if (kind === 'leading') void app.close();
      }
    })();
    await reading;
    expect([kinds[0], kinds[1], kinds.at(-1)]).toEqual(['following', 'leading', 'stopped']);
  });

  it('on() calls the listener for events of one type until it is removed', async () => {
    const { app, elector } = await applicationOf();
    const told: string[] = [];
    const dispose = app.get(LeaderService).on('stoppedLeading', ({ reason }) => told.push(reason));
    elector.grant();
    elector.revoke('leaseGone');
    dispose();
    elector.grant();
    elector.revoke('deadline');
    expect(told).toEqual(['leaseGone']);
    await app.close();
  });

  it('a listener that throws affects neither the others nor the election', async () => {
    const { app, elector } = await applicationOf();
    const leader = app.get(LeaderService);
    const told: string[] = [];
    leader.on('startedLeading', () => {
      throw new Error('planted');
    });
    leader.on('startedLeading', () => told.push('second'));
    leader.on('error', ({ error }) => told.push(error.code));
    elector.grant();
    expect(told).toEqual(['second', 'LEADER_LISTENER_FAILED']);
    expect(leader.isLeader()).toBe(true);
    await app.close();
  });

  it('a listener that rejects does not end the process, even if the error listener throws', async () => {
    const { app, elector } = await applicationOf();
    const leader = app.get(LeaderService);
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    const told = new Promise<string>((resolve) => {
      leader.on('error', ({ error }) => {
        resolve(error.code);
        throw new Error('planted');
      });
    });
    leader.on('startedLeading', () => Promise.reject(new Error('rejected')));
    elector.grant();
    expect(await told).toBe('LEADER_LISTENER_FAILED');
    // Node looks for unhandled rejections between two turns.
    await setImmediate();
    process.off('unhandledRejection', onUnhandled);
    expect(unhandled).toEqual([]);
    await app.close();
  });
});

describe('whenLeader() before the application has started', () => {
  const warned: string[] = [];
  const waits = (): string[] => warned.filter((line) => line.includes('waited for'));
  beforeEach(() => {
    warned.length = 0;
    vi.spyOn(Logger.prototype, 'warn').mockImplementation((line: unknown) => void warned.push(String(line)));
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const unstarted = async (...providers: Type[]) => {
    const imports = [LeaderElectionTestingModule.forRoot({ startAs: 'leader' })];
    const module = await Test.createTestingModule({ imports, providers }).compile();
    return { module, leader: module.get(LeaderService), time: module.get(SimulatedTime) };
  };

  it('rejects when the application closes without having started, and changes() ends', async () => {
    const { module, leader } = await unstarted();
    const waiting = [leader.whenLeader(), leader.runAsLeader(() => expect.unreachable())].map((each) =>
      expect(each).rejects.toMatchObject({ code: 'LEADER_STOPPED' }),
    );
    const kinds = (async () => {
      const seen: string[] = [];
      for await (const { kind } of leader.changes()) seen.push(kind);
      return seen;
    })();
    await module.close();
    await Promise.all(waiting);
    expect((await kinds).at(-1)).toBe('stopped');
    await expect(leader.whenLeader()).rejects.toMatchObject({ code: 'LEADER_STOPPED' });
  });

  it('sends no request to the API server, and leaves no timer', async () => {
    const lock = new SimulatedLease(new SimulatedTime()).lock('me');
    const asked: unknown[] = [];
    lock.fate = (request) => {
      asked.push(request);
      return 'answer';
    };
    const time = new SimulatedTime();
    const elector = new LeaseElector({
      lock,
      options: resolveElectionOptions({ leaseName: 'x' }, { leaseNamespace: 'y', identity: 'me' }),
      clock: time.clock(),
    });
    const module = await Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'y' })],
    })
      .overrideProvider(getElectorToken())
      .useValue(elector)
      .compile();
    const waiting = expect(module.get(LeaderService).whenLeader()).rejects.toMatchObject({
      code: 'LEADER_STOPPED',
    });
    await module.close();
    await waiting;
    expect([asked, time.pending]).toEqual([[], 0]);
  });

  it.each(['onModuleInit', 'onApplicationBootstrap'])('warns after five seconds in %s', async (hook) => {
    @Injectable()
    class Waiting {
      constructor(private readonly leader: LeaderService) {
        Object.assign(this, { [hook]: () => this.leader.whenLeader() });
      }
    }
    const { module, leader, time } = await unstarted(Waiting);
    const starting = module.init();
    await time.advance(4_999);
    expect(waits()).toEqual([]);
    await time.advance(1);
    expect(waits()).toEqual([
      expect.stringMatching(/of 'default' has waited for 5 s.*never starts.*void leader\.runAsLeader/s),
    ]);
    await time.advance(3_600_000);
    expect(waits()).toHaveLength(1);
    await leader.whenLeader({ signal: AbortSignal.abort('enough') }).catch(() => undefined);
    void starting;
  });

  it('does not warn when the wait is given up, the application starts in time, or the wait begins later', async () => {
    const { module, leader, time } = await unstarted();
    const given = new AbortController();
    const givenUp = leader.whenLeader({ signal: given.signal }).catch((reason: unknown) => reason);
    const waiting = leader.whenLeader();
    await time.advance(3_000);
    given.abort('enough');
    expect(await givenUp).toBe('enough');
    await module.init();
    await waiting;
    module.get(ScriptedElector).revoke();
    void leader.whenLeader().catch(() => undefined);
    await time.advance(10_000);
    expect(waits()).toEqual([]);
    await module.close();
  });

  it.each([
    [{ signal: 5 }, 'signal is 5: it must be an AbortSignal'],
    [null, 'they are null: they must be an object'],
    [7, 'they are number: they must be an object'],
  ])('refuses %o', async (options, told) => {
    const { module, leader } = await unstarted();
    for (const wait of [leader.whenLeader(options as never), leader.runAsLeader(() => 1, options as never)])
      await expect(wait).rejects.toMatchObject({
        code: 'LEADER_INVALID_OPTIONS',
        message: expect.stringContaining(told),
      });
    await module.close();
  });
});

describe('enabled: false', () => {
  it('leads from the first start hook on; events of terms are delivered when the application has started', async () => {
    const told: string[] = [];
    @Injectable()
    class Migrations implements OnModuleInit, OnApplicationBootstrap {
      constructor(private readonly leader: LeaderService) {
        leader.on('startedLeading', () => {
          told.push('listener');
          throw new Error('planted');
        });
        leader.on('error', ({ error }) => told.push(error.code));
      }

      async onModuleInit(): Promise<void> {
        await this.leader.whenLeader();
        told.push(String(this.leader.isLeader()), await this.migrate());
      }

      onApplicationBootstrap(): void {
        told.push('bootstrap');
      }

      @OnlyWhenLeader()
      async migrate(): Promise<string> {
        return Promise.resolve(`migrated in ${String(currentTerm().fencingToken)}`);
      }

      @OnStartedLeading()
      started(): void {
        told.push('hook');
      }
    }
    const module = await Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot({ leaseName: 'x', enabled: false })],
      providers: [Migrations],
    }).compile();
    module.useLogger(false);
    await module.init();
    expect(told).toEqual([
      'true',
      'migrated in 0',
      'bootstrap',
      'listener',
      'hook',
      'LEADER_LISTENER_FAILED',
    ]);
    await module.close();
    expect(module.get(LeaderService).isLeader()).toBe(false);
  });

  it('start hooks lead one after the other, and each wait resolves with a present term', async () => {
    const time = new SimulatedTime();
    const ran: unknown[] = [];
    @Injectable()
    class Migrations implements OnModuleInit {
      constructor(private readonly leader: LeaderService) {}

      async onModuleInit(): Promise<void> {
        for (const migration of ['first', 'second']) await this.leader.runAsLeader(() => ran.push(migration));
        void this.leader.whenLeader().then(({ isOver }) => ran.push({ isOver }));
      }
    }
    const module = await Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot({ leaseName: 'x', enabled: false })],
      providers: [Migrations],
    })
      .overrideProvider(getElectorToken())
      .useValue(new StaticElector({ role: 'leader', clock: time.clock() }))
      .compile();
    module.useLogger(false);
    const starting = module.init();
    const settled = async (): Promise<void> => {
      for (let turn = 0; turn < 5; turn++) await setImmediate();
    };
    await settled();
    expect(ran).toEqual(['first']);
    await time.advance(2_000);
    await settled();
    expect(ran).toEqual(['first', 'second']);
    await starting;
    await time.advance(2_000);
    expect(ran).toEqual(['first', 'second', { isOver: false }]);
    await module.close();
  });

  it('waits for work of a start hook when the application closes before it has started', async () => {
    const module = await Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot({ leaseName: 'x', enabled: false })],
    }).compile();
    const leader = module.get(LeaderService);
    let ended = false;
    const working = leader.runAsLeader(async ({ signal }) => {
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
      });
      await setImmediate();
      ended = true;
    });
    await setImmediate();
    await module.close();
    expect(ended).toBe(true);
    await working;
  });
});
