/** Start last, stop first (lib/nest/election-hooks.module.ts). */
import { Injectable, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { describe, expect, it, vi } from 'vitest';
import { StaticElector, type Elector } from '../../lib/election/index.js';
import {
  LeaderElectionModule,
  LeaderService,
  OnlyWhenLeader,
  currentTerm,
  getElectorToken,
  getLeaderToken,
} from '../../lib/index.js';

@Injectable()
class Database implements OnApplicationBootstrap, OnModuleDestroy {
  state: 'closed' | 'open' = 'closed';

  onApplicationBootstrap(): void {
    this.state = 'open';
  }

  onModuleDestroy(): void {
    this.state = 'closed';
  }

  write(): string {
    if (this.state !== 'open') throw new Error('the database is closed');
    return 'written';
  }
}

@Module({ providers: [Database], exports: [Database] })
class DatabaseModule {}

/** Work that goes on until it is told to stop, and then has one more thing to write. */
@Injectable()
class Job {
  readonly log: string[] = [];

  constructor(private readonly database: Database) {}

  @OnlyWhenLeader()
  async run(): Promise<void> {
    const { signal } = currentTerm();
    this.log.push(this.database.write());
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        resolve();
      });
    });
    // Not in the same turn: the database would be gone by now if nobody waited.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    this.log.push(`${this.database.write()} after the signal`);
  }
}

@Module({ imports: [DatabaseModule], providers: [Job] })
class JobModule {}

async function application(elector: Elector, modules: unknown[] = [JobModule]) {
  const module = await Test.createTestingModule({
    imports: [
      ...(modules as [typeof JobModule]),
      LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'y' }),
    ],
  })
    .overrideProvider(getElectorToken())
    .useValue(elector)
    .compile();
  return module.createNestApplication({ logger: false });
}

describe('start', () => {
  it('the campaign begins after every module has started', async () => {
    const seen: string[] = [];
    const elector = new StaticElector({ role: 'leader' });
    const app = await application(elector);
    app.get(LeaderService).on('startedLeading', () => seen.push(app.get(Database).state));
    await app.init();
    expect(seen).toEqual(['open']);
    await app.close();
  });

  it('is not delayed by an elector that makes no progress', async () => {
    const elector: Elector = {
      leaseName: 'x',
      identity: 'me',
      state: { kind: 'idle' },
      run: (signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            resolve();
          });
        }),
      stepDown: () => Promise.resolve(),
    };
    const app = await application(elector);
    await app.init();
    await app.close();
  });

  it('survives an elector that fails', async () => {
    const elector: Elector = {
      leaseName: 'x',
      identity: 'me',
      state: { kind: 'idle' },
      run: () => Promise.reject(new Error('planted')),
      stepDown: () => Promise.resolve(),
    };
    const app = await application(elector);
    await app.init();
    expect(app.get(LeaderService).isLeader()).toBe(false);
    await app.close();
  });
});

describe('stop', () => {
  it('a job that runs at shutdown can use the database until it has drained', async () => {
    const app = await application(new StaticElector({ role: 'leader' }));
    await app.init();
    const job = app.get(Job);
    const running = job.run();
    await app.close();
    await running;
    expect(job.log).toEqual(['written', 'written after the signal']);
    expect(app.get(Database).state).toBe('closed');
  });

  it('a job that runs at shutdown can use a provider of the root module', async () => {
    const module = await Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'y' })],
      providers: [Database, Job],
    })
      .overrideProvider(getElectorToken())
      .useValue(new StaticElector({ role: 'leader' }))
      .compile();
    await module.init();
    const job = module.get(Job);
    const running = job.run();
    await module.close();
    await running;
    expect(job.log).toEqual(['written', 'written after the signal']);
  });

  it('two elections stop at the same time: no gate stays open while the other drains', async () => {
    const electors = [
      new StaticElector({ role: 'leader', leaseName: 'billing' }),
      new StaticElector({ role: 'leader', leaseName: 'reports' }),
    ] as const;
    const module = await Test.createTestingModule({
      imports: ['billing', 'reports'].map((name) =>
        LeaderElectionModule.forRoot({ name, leaseName: name, leaseNamespace: 'y' }),
      ),
    })
      .overrideProvider(getElectorToken('billing'))
      .useValue(electors[0])
      .overrideProvider(getElectorToken('reports'))
      .useValue(electors[1])
      .compile();
    await module.init();
    const leaders = ['billing', 'reports'].map((name) => module.get<LeaderService>(getLeaderToken(name)));
    const leave = leaders.map((leader) => leader.term?.enter());
    const closing = module.close();
    await new Promise(setImmediate);
    expect(leaders.map(({ state }) => state.kind)).toEqual(['handingOver', 'handingOver']);
    for (const each of leave) each?.();
    await closing;
  });

  it('no call starts after the shutdown has begun', async () => {
    const app = await application(new StaticElector({ role: 'leader' }));
    await app.init();
    const job = app.get(Job);
    const running = job.run();
    const closing = app.close();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    await expect(job.run()).rejects.toMatchObject({ code: 'LEADER_NOT_LEADER' });
    await Promise.all([closing, running]);
  });

  it('work that does not end delays a shutdown by drainTimeout, and no longer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      const app = await application(new StaticElector({ role: 'leader', drainTimeout: 5_000 }));
      await app.init();
      const leave = app.get(LeaderService).term?.enter();
      let closed = false;
      const closing = app.close().then(() => {
        closed = true;
      });
      await vi.advanceTimersByTimeAsync(4_900);
      expect(closed).toBe(false);
      await vi.advanceTimersByTimeAsync(200);
      await closing;
      leave?.();
    } finally {
      vi.useRealTimers();
    }
  });
});
