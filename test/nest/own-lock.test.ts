/** The option `lock`: its rules, several leases, what a lock throws, and who closes it. No cluster is reachable here. */
import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, describe, expect, it } from 'vitest';
import { LeaseRequestError, type LeaseLock } from '../../lib/election/index.js';
import {
  InvalidOptionsError,
  LeaderElectionModule,
  LeaderService,
  getLeaderToken,
  type LeaderElectionModuleOptions,
  type LockOption,
} from '../../lib/index.js';
import { MemoryLock, MemoryServer } from '../testing/memory-lock.js';

type Options = Omit<LeaderElectionModuleOptions, 'leaseName'> & { name?: string };

const applications: INestApplicationContext[] = [];
const lines: string[] = [];
const logger = {
  log: (line: string) => void lines.push(line),
  warn: (line: string) => void lines.push(line),
  error: (line: string) => void lines.push(line),
};

afterEach(async () => {
  await Promise.all(applications.splice(0).map((app) => app.close()));
  lines.length = 0;
});

async function start(...elections: Options[]): Promise<INestApplicationContext> {
  const imports = elections.map((options) =>
    LeaderElectionModule.forRoot({ leaseName: 'billing', ...options }),
  );
  @Module({ imports })
  class Application {}
  const app = await NestFactory.createApplicationContext(Application, { logger, abortOnError: false });
  applications.push(app);
  return app;
}

/** The rules that the options break. */
async function violations(...elections: Options[]): Promise<readonly string[]> {
  const error: unknown = await start(...elections).catch((thrown: unknown) => thrown);
  if (error instanceof InvalidOptionsError) return error.violations;
  throw new Error(`the options were accepted`, { cause: error });
}

/** A lock with a name of its own, which notes when it is closed. */
class NamedLock extends MemoryLock {
  closed = 0;
  readonly #name: string;

  constructor(server: MemoryServer, name = 'memory/lease') {
    super(server);
    this.#name = name;
  }

  override describe(): string {
    return this.#name;
  }

  close(): void {
    this.closed += 1;
  }
}

const lock = (): NamedLock => new NamedLock(new MemoryServer());

describe('an application with a lock of its own', () => {
  it('leads without a cluster and without a namespace, and hands over to the next at its shutdown', async () => {
    const server = new MemoryServer();
    const first = await start({ lock: server.lock() });
    const term = await first.get(LeaderService).whenLeader();
    const second = await start({ lock: () => server.lock() });
    const follower = second.get(LeaderService);
    expect(follower.isLeader()).toBe(false);
    await first.close();
    expect((await follower.whenLeader()).fencingToken).toBeGreaterThan(term.fencingToken);
  });

  it('gets it from a factory with injected dependencies', async () => {
    @Injectable()
    class Database {
      readonly server = new MemoryServer();
    }
    @Module({ providers: [Database], exports: [Database] })
    class DatabaseModule {}
    @Module({
      imports: [
        LeaderElectionModule.forRootAsync({
          imports: [DatabaseModule],
          inject: [Database],
          useFactory: ({ server }: Database) => ({
            leaseName: 'billing',
            lock: (leaseName: string) => Promise.resolve(new NamedLock(server, leaseName)),
          }),
        }),
      ],
    })
    class Application {}
    const app = await NestFactory.createApplicationContext(Application, { logger: false });
    applications.push(app);
    await app.get(LeaderService).whenLeader();
    expect(app.get(Database, { strict: false }).server.stored?.record.holderIdentity).toBe(
      app.get(LeaderService).identity,
    );
  });

  it('has a lock for each slot, and for a second lease', async () => {
    const servers = new Map<string, MemoryServer>();
    const made = (name: string): LeaseLock => {
      const server = servers.get(name) ?? new MemoryServer();
      servers.set(name, server);
      return new NamedLock(server, name);
    };
    const [a, b] = [await start({ slots: 2, lock: made }), await start({ slots: 2, lock: made })];
    const terms = await Promise.all([a, b].map((app) => app.get(LeaderService).whenLeader()));
    expect(terms.map(({ slot }) => slot).sort()).toEqual([0, 1]);
    const both = await start({ name: 'both', alsoLease: 'old', lock: made });
    await both.get<LeaderService>(getLeaderToken('both')).whenLeader();
    expect([...servers.keys()]).toEqual(['billing-0', 'billing-1', 'billing', 'old']);
  });

  it('does not make it with enabled: false', async () => {
    const app = await start({
      enabled: false,
      lock: () => {
        throw new Error('must not be called');
      },
    });
    expect(app.get(LeaderService).isLeader()).toBe(true);
  });

  it('does not start if the function throws', async () => {
    await expect(start({ lock: () => Promise.reject(new Error('no such file')) })).rejects.toThrow(
      'no such file',
    );
  });
});

describe('what it throws', () => {
  class FailingLock extends NamedLock {
    fails: unknown = undefined;

    protected override async request<T>(isNew: boolean, signal: AbortSignal, carryOut: () => T): Promise<T> {
      // Anything can be thrown: a lock may be written in JavaScript.
      // eslint-disable-next-line @typescript-eslint/only-throw-error
      if (this.fails !== undefined) throw this.fails;
      return super.request(isNew, signal, carryOut);
    }
  }

  it.each<[string, unknown, string]>([
    ['an error of its driver', new TypeError('connect ECONNREFUSED'), 'TypeError: connect ECONNREFUSED'],
    ['a text of several lines', new Error('a\nb'), 'Error: a\\u000ab'],
    ['no error', 'gone', 'gone'],
    ['not even a text', 7, 'number'],
    ['an object without a prototype', Object.create(null), 'object'],
    [
      'an error of the contract',
      new LeaseRequestError('LEADER_SERVER_ERROR', 'Full.', { maybeCommitted: false }),
      'Full.',
    ],
  ])('is logged, shown in the state, and does not end the election: %s', async (_name, thrown, shown) => {
    const failing = new FailingLock(new MemoryServer());
    failing.fails = thrown;
    const app = await start({ lock: failing, retryPeriod: 20, renewDeadline: 1_000, leaseDuration: 2_000 });
    const leader = app.get(LeaderService);
    const isLeader = leader.whenLeader();
    if (!lines.some((line) => line.includes(shown)))
      await new Promise<void>((resolve) => {
        leader.on('error', ({ error }) => {
          if (error.message.includes(shown)) resolve();
        });
      });
    expect(lines.join('\n')).toContain(shown);
    failing.fails = undefined;
    await isLeader;
    expect(failing.closed).toBe(0);
  });

  it('also by a watch, without which it leads', async () => {
    const blind = Object.assign(lock(), {
      watch: () => {
        throw new TypeError('watch is not implemented');
      },
    });
    const app = await start({ lock: blind });
    await app.get(LeaderService).whenLeader();
    expect(lines.join('\n')).toContain(
      'LEADER_UNREACHABLE: The lock threw another error than a LeaseRequestError',
    );
    expect(lines.join('\n')).toContain('TypeError: watch is not implemented');
  });
});

describe('at the shutdown', () => {
  it('it is closed once, after the election has ended', async () => {
    const server = new MemoryServer();
    let heldBy: string | undefined;
    class WatchedLock extends NamedLock {
      override close(): void {
        super.close();
        heldBy = server.stored?.record.holderIdentity;
      }
    }
    const watched = new WatchedLock(server);
    const app = await start({ lock: watched });
    await app.get(LeaderService).whenLeader();
    expect(watched.closed).toBe(0);
    await app.close();
    expect([watched.closed, heldBy]).toEqual([1, '']);
  });

  it.each<[string, () => void | Promise<void>, string]>([
    [
      'throws',
      () => {
        throw new Error('already closed');
      },
      'already closed',
    ],
    ['never ends', () => new Promise<void>(() => undefined), 'it took longer than 50 ms'],
  ])('a close() that %s is logged, and the shutdown goes on', async (_name, close, shown) => {
    const stubborn = Object.assign(lock(), { close });
    const app = await start({ lock: stubborn, retryPeriod: 50 });
    await app.close();
    expect(lines).toContain(`The lock of memory/lease was not closed: ${shown}. The shutdown goes on.`);
  });
});

describe('the rules of the option', () => {
  it.each<[string, unknown]>([
    ['a text', 'postgres://localhost'],
    ['null', null],
    ['an object without functions', {}],
    ['a lock without update', { describe: lock, get: lock, create: lock }],
    ['a lock whose watch is no function', Object.assign(lock(), { watch: true })],
    ['a lock whose close is no function', Object.assign(lock(), { close: 1 })],
  ])('it must be a lock or a function, not %s, which is not shown', async (_name, given) => {
    const [violation, ...others] = await violations({ lock: given as LockOption });
    expect(others).toEqual([]);
    expect(violation).toMatch(
      /^lock is .+: it must be a LeaseLock, an object with the functions describe, get, create and update, or a function/,
    );
    expect(violation).not.toContain('localhost');
    expect(await violations({ lock: () => given as LeaseLock })).toEqual([
      expect.stringMatching(/^lock returned .+ for 'billing': it must be a LeaseLock/),
    ]);
  });

  it('the member that is missing or wrong is named', async () => {
    const [missing] = await violations({ lock: { describe: lock, get: lock, create: lock } as never });
    expect(missing).toMatch(/^lock is an object whose update is missing: /);
    const [wrong] = await violations({ lock: Object.assign(lock(), { watch: true }) });
    expect(wrong).toMatch(/^lock is an? \w+ whose watch is boolean: /);
  });

  it.each<[keyof Options, unknown]>([
    ['kubernetes', { server: 'https://127.0.0.1' }],
    ['leaseNamespace', 'default'],
    ['labels', { app: 'x' }],
    ['ownerReference', { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x', uid: 'y' }],
    ['coordinated', { binaryVersion: '1.0.0' }],
    ['events', true],
    ['leaderPodLabels', { role: 'leader' }],
    ['preflight', 'warn'],
    ['preflight', 'fail'],
    ['releaseAtExit', true],
    ['serverClockMargin', 0],
    ['takeover', 'podStatus'],
  ])('%s: %j is refused beside it', async (option, value) => {
    expect(await violations({ lock: lock(), [option]: value })).toEqual([
      expect.stringMatching(new RegExp(`^${option} is given beside lock: .+; leave out one of the two$`)),
    ]);
  });

  it('options that ask for nothing are accepted beside it', async () => {
    const nothing = {
      labels: {},
      leaderPodLabels: {},
      events: false,
      preflight: 'off',
      releaseAtExit: false,
    } as const;
    for (const takeover of ['expiry', 'sameContainer'] as const) {
      const app = await start({ lock: lock(), ...nothing, takeover, kubernetes: undefined });
      await app.get(LeaderService).whenLeader();
    }
  });

  it('one lock is not enough for slots or a second lease', async () => {
    expect(await violations({ lock: lock(), slots: 3 })).toEqual([
      'slots is 3 beside one lock: each lease needs its own; let lock be a function of its name',
    ]);
    expect(await violations({ lock: lock(), alsoLease: 'old' })).toEqual([
      "alsoLease is 'old' beside one lock: each lease needs its own; let lock be a function of its name",
    ]);
    const one = lock();
    expect(await violations({ lock: () => one, slots: 2 })).toEqual([
      "lock returned locks with one description, memory/lease, for 'billing-0' and 'billing-1': each lease needs a lock and a " +
        'description of its own',
    ]);
  });

  it('two elections of an application have different leases', async () => {
    const server = new MemoryServer();
    expect(await violations({ lock: server.lock() }, { name: 'b', lock: server.lock() })).toEqual([
      expect.stringContaining("uses the Lease 'memory/lease', too"),
    ]);
  });
});
