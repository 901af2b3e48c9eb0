/** Faults that an earlier lib/nest had, each by a test of its own. */
import { Injectable, Logger, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ScriptedElector, StaticElector, type Elector } from '../../lib/election/index.js';
import {
  LeaderElectionModule,
  LeaderHealthIndicator,
  LeaderService,
  OnlyWhenLeader,
  currentTerm,
  getElectorToken,
} from '../../lib/index.js';
import { LeaderElectionTestingModule, LeaseApiServer, runInFakeTerm } from '../../lib/testing.js';
import { applicationOf } from './application.js';

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
};

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function on(elector: Elector) {
  const module = await Test.createTestingModule({
    imports: [LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'y' })],
  })
    .overrideProvider(getElectorToken())
    .useValue(elector)
    .compile();
  const app = module.createNestApplication({ logger: false });
  await app.init();
  return app;
}

describe('a shutdown takes a bounded time', () => {
  it('when work has already outlived the drainTimeout of a step down', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const app = await on(new StaticElector({ role: 'leader', drainTimeout: 5_000 }));
    const leader = app.get(LeaderService);
    const leave = leader.term?.enter();
    void leader.stepDown();
    await vi.advanceTimersByTimeAsync(6_000);
    let closed = false;
    void app.close().then(() => (closed = true));
    await vi.advanceTimersByTimeAsync(60_000);
    leave?.();
    expect(closed).toBe(true);
  });
  it('when work has outlived a lost term', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const elector = new ScriptedElector({ drainTimeout: 5_000 });
    const app = await on(elector);
    elector.grant();
    const leave = app.get(LeaderService).term?.enter();
    elector.revoke('deadline');
    await vi.advanceTimersByTimeAsync(6_000);
    let closed = false;
    void app.close().then(() => (closed = true));
    await vi.advanceTimersByTimeAsync(60_000);
    leave?.();
    expect(closed).toBe(true);
  });
});

@Injectable()
class Work {
  cleaned = false;
  @OnlyWhenLeader()
  async *numbers(): AsyncGenerator<number> {
    try {
      for (let n = 0; ; n++) {
        await Promise.resolve();
        yield n;
      }
    } finally {
      this.cleaned = true;
    }
  }
  @OnlyWhenLeader()
  iterable(): AsyncIterable<bigint> {
    return {
      async *[Symbol.asyncIterator]() {
        await Promise.resolve();
        yield currentTerm().fencingToken;
      },
    };
  }
  @OnlyWhenLeader()
  finished(): Readable {
    const stream = Readable.from([]);
    stream.destroy();
    return stream;
  }
  async ended(): Promise<Readable> {
    await Promise.resolve();
    return this.stream;
  }
  stream = Readable.from(['a']);
  @OnlyWhenLeader()
  streamed(): Readable {
    return this.stream;
  }
  @OnlyWhenLeader({ otherwise: 'skip' })
  async skipped(): Promise<void> {
    await Promise.resolve();
  }
  @OnlyWhenLeader({
    otherwise: () => {
      throw new Error('from otherwise');
    },
  })
  async other(): Promise<void> {
    await Promise.resolve();
  }
  @OnlyWhenLeader()
  async promised(): Promise<void> {
    await Promise.resolve();
  }
}

describe('a hand-over does not wait for a result that nobody reads', () => {
  it('a generator that was never iterated', async () => {
    const { app, elector } = await applicationOf(Work);
    elector.grant();
    app.get(Work).numbers();
    let over = false;
    void elector.stepDown().then(() => (over = true));
    await turns();
    expect(over).toBe(true);
  });
  it('a generator whose reader has stopped', async () => {
    const { app, elector } = await applicationOf(Work);
    elector.grant();
    const numbers = app.get(Work).numbers();
    await numbers.next();
    let over = false;
    void elector.stepDown().then(() => (over = true));
    await turns();
    expect([over, app.get(Work).cleaned]).toEqual([true, true]);
  });
  it('a stream that had ended before it was returned', async () => {
    const { app, elector } = await applicationOf(Work);
    const stream = app.get(Work).stream;
    stream.destroy();
    await turns();
    elector.grant();
    app.get(Work).streamed();
    let over = false;
    void elector.stepDown().then(() => (over = true));
    await turns();
    expect(over).toBe(true);
  });
});

it('an async iterable that is not a generator runs in the term', async () => {
  const { app, elector } = await applicationOf(Work);
  elector.grant({ fencingToken: 5n });
  const seen: bigint[] = [];
  for await (const token of app.get(Work).iterable()) seen.push(token);
  expect(seen).toEqual([5n]);
});

describe('an async method returns a promise while this process follows', () => {
  it("with 'skip'", async () => {
    const { app } = await applicationOf(Work);
    expect(app.get(Work).skipped()).toBeInstanceOf(Promise);
  });
  it('with a function that throws', async () => {
    const { app } = await applicationOf(Work);
    let result: Promise<void> | undefined;
    expect(() => (result = app.get(Work).other())).not.toThrow();
    await expect(result).rejects.toThrow('from otherwise');
  });
  it('on an instance created with new', async () => {
    let result: Promise<void> | undefined;
    expect(() => (result = new Work().promised())).not.toThrow();
    await expect(result).rejects.toMatchObject({ code: 'LEADER_MODULE_MISSING' });
  });
});

it('a call in a fake term that has ended fails because the term is over, not because a module is missing', () => {
  @Injectable()
  class Plain {
    @OnlyWhenLeader()
    go(): undefined {
      return undefined;
    }
  }
  runInFakeTerm({}, ({ end }) => {
    end();
    expect(() => {
      new Plain().go();
    }).toThrow(expect.objectContaining({ code: 'LEADER_NOT_LEADER' }));
  });
});

it('one testing module serves several applications, one after the other', async () => {
  @Module({ imports: [LeaderElectionTestingModule.forRoot({ startAs: 'leader' })] })
  class TestRoot {}
  for (const _ of [1, 2]) {
    const module = await Test.createTestingModule({ imports: [TestRoot] }).compile();
    module.useLogger(false);
    await module.init();
    expect(module.get(LeaderService).isLeader()).toBe(true);
    await module.close();
  }
});

it('runAsLeader hands over its own term, not the next one', async () => {
  const { app, elector } = await applicationOf();
  const leader = app.get(LeaderService);
  elector.grant();
  let end: () => void = () => undefined;
  const result = leader.runAsLeader(
    () =>
      new Promise<void>((resolve) => {
        end = resolve;
      }),
  );
  await turns();
  elector.revoke('deadline');
  elector.grant();
  end();
  await result;
  expect(leader.isLeader()).toBe(true);
  await app.close();
});

it('changes() yields a state when a follower sees another leader', async () => {
  const { app, elector } = await applicationOf();
  const leader = app.get(LeaderService);
  const seen: string[] = [];
  void (async () => {
    for await (const state of leader.changes()) if (state.kind === 'following') seen.push(state.leader);
  })();
  await turns();
  elector.revoke('superseded', 'pod-a');
  await turns();
  elector.revoke('superseded', 'pod-b');
  await turns();
  await app.close();
  expect(seen).toEqual(['', 'pod-a', 'pod-b']);
});

describe('an elector that fails', () => {
  it('makes health down, and ends waits', async () => {
    const { app, elector } = await applicationOf();
    const leader = app.get(LeaderService);
    const waiting = leader.whenLeader().then(
      () => 'led',
      (error: unknown) => (error as { code: string }).code,
    );
    elector.fail(new Error('planted'));
    await turns();
    const health = app.get(LeaderHealthIndicator).isHealthy('leader').leader;
    expect(await Promise.race([waiting, turns().then(() => 'still waiting')])).toBe('LEADER_STOPPED');
    expect(JSON.stringify(health)).toContain('planted');
  });
});

it('whenLeader rejects, and does not throw, when its signal has fired', async () => {
  const { app } = await applicationOf();
  let result: Promise<unknown> | undefined;
  expect(
    () => (result = app.get(LeaderService).whenLeader({ signal: AbortSignal.abort('enough') })),
  ).not.toThrow();
  await expect(result).rejects.toBe('enough');
});

it('the rejection of an async listener is reported', async () => {
  const { app, elector } = await applicationOf();
  const unhandled: unknown[] = [];
  const before = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', (reason) => unhandled.push(reason));
  const told: string[] = [];
  app.get(LeaderService).on('error', ({ error }) => told.push(error.code));
  app.get(LeaderService).on('startedLeading', async () => {
    await Promise.resolve();
    throw new Error('planted');
  });
  elector.grant();
  await turns();
  process.removeAllListeners('unhandledRejection');
  for (const listener of before) process.on('unhandledRejection', listener);
  expect([unhandled, told]).toEqual([[], ['LEADER_LISTENER_FAILED']]);
});

describe('the option kubernetes', () => {
  it.each([[{ kubeconfig: '/etc/x' }], ['https://api'], [null], [{ token: 'x' }]])(
    'refuses %j',
    async (kubernetes) => {
      const boot = Test.createTestingModule({
        imports: [LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'y', kubernetes } as never)],
      }).compile();
      await expect(boot).rejects.toMatchObject({ code: 'LEADER_INVALID_OPTIONS' });
    },
  );
  it('lists its own fields when one is misspelt', async () => {
    const boot = Test.createTestingModule({
      imports: [
        LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'y', enable: false } as never),
      ],
    }).compile();
    await expect(boot).rejects.toThrow(/the options are .*\benabled\b/);
  });
});

it('a second outage is logged when the first is over', async () => {
  const warned = vi.spyOn(Logger.prototype, 'warn');
  const server = await LeaseApiServer.start({});
  const module = await Test.createTestingModule({
    imports: [
      LeaderElectionModule.forRoot({
        leaseName: 'x',
        leaseNamespace: 'default',
        leaseDuration: 2_000,
        renewDeadline: 1_900,
        retryPeriod: 300,
        renewInterval: 300,
        kubernetes: { server: server.url },
      }),
    ],
  }).compile();
  const app = module.createNestApplication({ logger: false });
  await app.init();
  const leader = app.get(LeaderService);
  await leader.whenLeader();
  const outage = async (): Promise<void> => {
    const fault = server.faults.add({ do: { answer: 503 } });
    await new Promise<void>((resolve) => {
      const off = leader.on('error', ({ error }) => {
        if (error.code !== 'LEADER_SERVER_ERROR') return;
        off();
        resolve();
      });
    });
    fault.remove();
  };
  const renewed = async (): Promise<void> => {
    const { state } = leader;
    if (state.kind !== 'leading') throw new Error(state.kind);
    const { renewedAt } = state.term;
    while (state.term.renewedAt === renewedAt) await new Promise(setImmediate);
  };
  await outage();
  await renewed();
  expect(leader.isLeader()).toBe(true);
  await outage();
  await renewed();
  await app.close();
  await server.stop();
  const lines = warned.mock.calls
    .map(([line]) => String(line))
    .filter((line) => line.includes('SERVER_ERROR'));
  expect(lines.length).toBe(2);
});

it('a leader without a lease is not overdue while it drains', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'] });
  const app = await on(new StaticElector({ role: 'leader' }));
  await vi.advanceTimersByTimeAsync(3_600_000);
  const leave = app.get(LeaderService).term?.enter();
  void app.get(LeaderService).stepDown();
  const { status } = app.get(LeaderHealthIndicator).isHealthy('leader').leader;
  leave?.();
  await app.close();
  expect(status).toBe('up');
});

it('a stream without an error listener does not end the process', async () => {
  const uncaught: unknown[] = [];
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => uncaught.push(error));
  const { app, elector } = await applicationOf(Work);
  elector.grant();
  app.get(Work).streamed();
  elector.revoke('deadline');
  await turns();
  process.removeAllListeners('uncaughtException');
  for (const listener of before) process.on('uncaughtException', listener);
  expect(uncaught).toEqual([]);
});

it('a static method cannot be decorated', () => {
  expect(() => {
    class Tools {
      @OnlyWhenLeader()
      static run(): undefined {
        return undefined;
      }
    }
    return Tools;
  }).toThrow();
});
it("onLost: 'exit' does not interrupt a shutdown", async () => {
  const exit = vi.spyOn(process, 'exit').mockImplementation((() => undefined) as never);
  const elector = new ScriptedElector();
  const module = await Test.createTestingModule({
    imports: [LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'y', onLost: 'exit' })],
  })
    .overrideProvider(getElectorToken())
    .useValue(elector)
    .compile();
  const app = module.createNestApplication({ logger: false });
  await app.init();
  elector.grant();
  const leave = app.get(LeaderService).term?.enter();
  const closing = app.close();
  await turns();
  elector.revoke('deadline');
  leave?.();
  await closing;
  expect(exit).not.toHaveBeenCalled();
});
