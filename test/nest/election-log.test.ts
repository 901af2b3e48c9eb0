/** What an operator reads: one line for each transition, one for an outage, no secrets. */
import { Logger, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  JointElector,
  LeaseElector,
  LeaseRequestError,
  ScriptedElector,
  StaticElector,
  resolveElectionOptions,
  type ElectionObserver,
  type Elector,
  type MicroTime,
} from '../../lib/election/index.js';
import {
  LeaderElectionModule,
  LeaderError,
  LeaderHealthIndicator,
  LeaderService,
  getElectorToken,
} from '../../lib/index.js';
import { LeaderElectionTestingModule } from '../../lib/testing.js';
import { SimulatedLease } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

const lines: string[] = [];
const hooked = (): void => undefined;

beforeEach(() => {
  lines.length = 0;
  for (const level of ['log', 'warn', 'error'] as const) {
    vi.spyOn(Logger.prototype, level).mockImplementation(function (this: Logger, line: unknown) {
      // Nest's logger keeps its context to itself, and prints it beside the line.
      if ((this as unknown as { context?: string }).context === 'LeaderElection') {
        lines.push(`${level}: ${String(line)}`);
      }
    });
  }
  process.on('SIGTERM', hooked);
});

afterEach(() => {
  process.off('SIGTERM', hooked);
  vi.restoreAllMocks();
});

async function applicationOn(elector: Elector, options: object = {}) {
  const app = (await contextOn(elector, false, options)).createNestApplication({ logger: false });
  await app.init();
  return app;
}

/** Without a server. */
async function contextOn(
  elector: Elector,
  started = true,
  options: { name?: string } = {},
): Promise<TestingModule> {
  const module = await Test.createTestingModule({
    imports: [
      LeaderElectionModule.forRoot({
        leaseName: 'x',
        leaseNamespace: 'y',
        kubernetes: { server: 'https://api', token: 'secret-token' },
        ...options,
      }),
    ],
  })
    .overrideProvider(getElectorToken(options.name))
    .useValue(elector)
    .compile();
  if (started) await module.init();
  return module;
}

it('has one line for each transition, with lease, name, token and reason', async () => {
  const elector = new ScriptedElector({ leaseName: 'billing', identity: 'pod-1' });
  const app = await applicationOn(elector);
  elector.revoke('superseded', 'pod-2');
  elector.grant({ fencingToken: 4711n });
  elector.revoke('deadline');
  elector.grant();
  await elector.stepDown();
  await app.close();
  expect(lines).toEqual([
    "log: Campaigning for 'billing' as pod-1",
    "log: 'billing' is led by pod-2",
    "log: Leading 'billing' as pod-1, fencing token 4711",
    "warn: Lost 'billing' as pod-1: deadline",
    "log: Leading 'billing' as pod-1, fencing token 4712",
    "log: Handed over 'billing' as pod-1: steppedDown",
  ]);
});

it('names the election if it has a name', async () => {
  const elector = new ScriptedElector({ leaseName: 'billing', identity: 'pod-1' });
  const app = await applicationOn(elector, { name: 'invoices' });
  await app.close();
  expect(lines).toEqual(["log: Campaigning for 'billing' [invoices] as pod-1"]);
});

it.each([
  ['in one Lease, of a dead holder', undefined, true],
  ['in two Leases, of a dead holder', 'x-old', true],
  ['in one Lease, when it had expired', undefined, false],
  ['in two Leases, when they had expired', 'x-old', false],
])('says why a lease was taken over: %s', async (_, alsoLease, isDead) => {
  const time = new SimulatedTime();
  const record = {
    holderIdentity: 'pod-1',
    leaseDurationSeconds: 15,
    acquireTime: '2026-01-01T00:00:00.000000Z' as MicroTime,
    renewTime: '2026-01-01T00:00:00.000000Z' as MicroTime,
    leaseTransitions: 0,
    process: 'an earlier instance',
  };
  const lockOf = () => {
    const lease = new SimulatedLease(time);
    lease.edit(record);
    return lease.lock('pod-2');
  };
  const environment = { leaseNamespace: 'y', identity: 'pod-2' };
  const parts = {
    lock: lockOf(),
    clock: time.clock(),
    options: resolveElectionOptions({ leaseName: 'x', lockDelay: 0 }, environment),
    proofOfDeath: {
      self: undefined,
      follow: (process: string, gone: () => void) => {
        if (isDead && process === record.process) gone();
        return () => undefined;
      },
    },
  };
  const app = await applicationOn(
    alsoLease === undefined
      ? new LeaseElector(parts)
      : new JointElector({ ...parts, also: { leaseName: alsoLease, lock: lockOf() } }),
  );
  await time.advance(isDead ? 1_000 : 16_000);
  const leading = lines.filter((line) => line.includes('Leading'));
  expect(leading).toEqual([
    expect.stringMatching(
      isDead
        ? /^log: Leading 'x' as pod-2, fencing token \d+; the holder before it was proven dead$/
        : /^log: Leading 'x' as pod-2, fencing token \d+; the lease had expired$/,
    ),
  ]);
  const closed = app.close();
  // The shutdown has begun by then, and its release takes simulated time.
  await new Promise(setImmediate);
  await time.advance(1_000);
  await closed;
});

it('an elector that fails is logged once, and the application goes on', async () => {
  const elector = new ScriptedElector({ leaseName: 'billing', identity: 'pod-1' });
  const app = await applicationOn(elector);
  elector.fail(new Error('planted'));
  await app.close();
  expect(lines.filter((line) => line.startsWith('error'))).toEqual([
    "error: The election on 'billing' ended with an error: planted",
  ]);
});

it('shows the stack of what a listener threw', async () => {
  const elector = new ScriptedElector();
  const app = await applicationOn(elector);
  app.get(LeaderService).on('startedLeading', () => {
    throw new Error('planted');
  });
  elector.grant();
  await app.close();
  const told = lines.filter((line) => line.startsWith('warn'));
  expect(told).toHaveLength(2);
  expect(told[0]).toContain('LEADER_LISTENER_FAILED');
  expect(told[1]).toContain('election-log.test.ts');
});

it('says that work of a lost term still runs, and that this process does not campaign meanwhile', async () => {
  const elector = new ScriptedElector();
  const app = await applicationOn(elector);
  elector.grant();
  const leader = app.get(LeaderService);
  const leave = leader.term?.enter();
  const told: unknown[] = [];
  leader.on('stateChanged', ({ state }) => told.push('stillRunning' in state && state.stillRunning));
  elector.revoke('deadline');
  expect(lines.at(-1)).toMatch(
    /^warn: Lost .*: deadline; 1 gated call\(s\) still run: this process campaigns when they have ended/,
  );
  leave?.();
  expect(told).toEqual([1, 0]);
  await app.close();
});

describe('without a SIGTERM listener that closes the application', () => {
  const warnings = (): number => lines.filter((line) => line.includes('enableShutdownHooks()')).length;
  let others: NodeJS.SignalsListener[];

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    others = process.listeners('SIGTERM');
    process.removeAllListeners('SIGTERM');
  });
  afterEach(() => {
    vi.useRealTimers();
    for (const other of others) process.on('SIGTERM', other);
  });

  it('warns a second after the start, once, whoever leads', async () => {
    const app = await applicationOn(new ScriptedElector());
    await vi.advanceTimersByTimeAsync(900);
    expect(warnings()).toBe(0);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(warnings()).toBe(1);
    await app.close();
  });

  it.each<[string, (app: INestApplication) => unknown]>([
    ['call enableShutdownHooks()', (app) => app.enableShutdownHooks()],
    ['listen for SIGTERM and close', (app) => process.on('SIGTERM', () => void app.close())],
  ])('does not warn if that second is used to %s', async (_what, listen) => {
    const elector = new ScriptedElector();
    elector.grant();
    const app = await applicationOn(elector);
    listen(app);
    await vi.advanceTimersByTimeAsync(3_600_000);
    await app.close();
    process.removeAllListeners('SIGTERM');
    expect(warnings()).toBe(0);
  });

  it.each(['before', 'after'])(
    'but others do, whom the application does not concern (%s), warns',
    async (when) => {
      if (when === 'before') process.on('SIGTERM', hooked);
      const app = await applicationOn(new ScriptedElector());
      if (when === 'after') process.once('SIGTERM', hooked);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(warnings()).toBe(1);
      await app.close();
    },
  );

  it('warns if enableShutdownHooks() was called with SIGINT only', async () => {
    const app = await applicationOn(new ScriptedElector());
    app.enableShutdownHooks(['SIGINT']);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(warnings()).toBe(1);
    await app.close();
  });

  it.each([true, false])(
    'and there is no lease to hand over (enabled: false, leading: %s), does not',
    async (leads) => {
      const app = await applicationOn(new StaticElector({ role: leads ? 'leader' : 'follower' }));
      await vi.advanceTimersByTimeAsync(3_600_000);
      expect(warnings()).toBe(0);
      await app.close();
    },
  );

  it.each([
    ['does not on a laptop', undefined, 3_600_000, 0],
    ['does not in a pod within a minute', '10.0.0.1', 59_999, 0],
    ['warns in a pod after a minute', '10.0.0.1', 60_000, 1],
  ])('in an application without a server, as a script is: %s', async (_what, host, ms, count) => {
    vi.stubEnv('KUBERNETES_SERVICE_HOST', host);
    const app = await contextOn(new ScriptedElector());
    await vi.advanceTimersByTimeAsync(ms);
    expect(warnings()).toBe(count);
    await app.close();
    vi.unstubAllEnvs();
  });

  it('does not warn in a script of NestFactory.createApplicationContext()', async () => {
    const election = LeaderElectionModule.forRoot({
      leaseName: 'x',
      leaseNamespace: 'y',
      kubernetes: { server: 'http://127.0.0.1:1' },
    });
    const app = await NestFactory.createApplicationContext(election, { logger: false });
    await vi.advanceTimersByTimeAsync(120_000);
    expect(warnings()).toBe(0);
    await app.close();
  });

  it('does not warn if the application was closed before it has started', async () => {
    const app = await contextOn(new ScriptedElector(), false);
    const server = app.createNestApplication({ logger: false });
    await server.close();
    await server.init();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(warnings()).toBe(0);
  });

  it('does not warn if a test decides who leads', async () => {
    const imports = [LeaderElectionTestingModule.forRoot({ startAs: 'leader' })];
    const app = (await Test.createTestingModule({ imports }).compile()).createNestApplication({
      logger: false,
    });
    await app.init();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(warnings()).toBe(0);
    await app.close();
  });

  it('does not warn if the application stops before', async () => {
    const app = await applicationOn(new ScriptedElector());
    await app.close();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(warnings()).toBe(0);
  });
});

describe('at shutdown', () => {
  it('enabled: false hands nothing over', async () => {
    const elector = new StaticElector({ role: 'leader', leaseName: 'alone', identity: 'pod-1' });
    const app = await applicationOn(elector);
    await app.get(LeaderService).stepDown();
    await app.close();
    expect(lines).toEqual([
      expect.stringMatching(/^warn: No election for 'alone'/),
      "log: Leading 'alone' as pod-1, fencing token 0",
      "log: Stopped leading 'alone' as pod-1: steppedDown",
    ]);
  });

  it('releaseOnCancel: false leaves the lease to expire', async () => {
    const elector = new ScriptedElector({ leaseName: 'x', identity: 'pod-1' });
    const app = await applicationOn(elector, { releaseOnCancel: false });
    elector.grant();
    await elector.stepDown();
    elector.grant();
    await app.close();
    expect(lines.filter((line) => /over|Stopped/.test(line))).toEqual([
      "log: Handed over 'x' as pod-1: steppedDown",
      "log: Stopped leading 'x' as pod-1: stopped; the lease is not released (releaseOnCancel: false)",
    ]);
  });
});

it('contains no token of the API server', async () => {
  const elector = new ScriptedElector();
  const app = await applicationOn(elector);
  elector.grant();
  await app.close();
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.join()).not.toContain('secret-token');
});

it('logs a lasting problem once, and again after it was over', async () => {
  const elector = new (class extends ScriptedElector {
    tell: ElectionObserver = () => undefined;
    override run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
      this.tell = observer;
      return super.run(signal, observer);
    }
  })();
  const app = await applicationOn(elector);
  const problem = { type: 'error', error: new LeaderError('LEADER_UNREACHABLE', 'ECONNREFUSED') } as const;
  elector.tell(problem);
  elector.tell(problem);
  elector.grant();
  elector.tell(problem);
  await app.close();
  expect(lines.filter((line) => line.includes('ECONNREFUSED'))).toHaveLength(2);
});

describe('state, log and health say the same of', () => {
  const failing = new LeaseRequestError('LEADER_SERVER_ERROR', 'out of space', { maybeCommitted: true });
  const denied = new LeaseRequestError('LEADER_FORBIDDEN', 'no watch', { maybeCommitted: false });

  const onSimulatedLease = () => {
    const time = new SimulatedTime();
    const lease = new SimulatedLease(time);
    const lock = lease.lock('me');
    const elector = new LeaseElector({
      lock,
      clock: time.clock(),
      options: resolveElectionOptions({ leaseName: 'x' }, { leaseNamespace: 'y', identity: 'me' }),
    });
    const { watch } = lock;
    const start = async (): Promise<() => Record<string, unknown>> => {
      const app = await applicationOn(elector);
      return () =>
        app.get(LeaderHealthIndicator).isHealthy('leader').leader as unknown as Record<string, unknown>;
    };
    return { time, lease, lock, watch, elector, start };
  };
  const told = (): string[] => lines.filter((line) => line.includes('LEADER_'));

  it('writes that fail for long while reads succeed: logged once, and over when one succeeds', async () => {
    const { time, lock, elector, start } = onSimulatedLease();
    lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : failing);
    const health = await start();
    await time.advance(60_000);
    expect(told()).toEqual(["warn: 'x': LEADER_SERVER_ERROR: out of space"]);
    expect(health()).toMatchObject({ error: { code: 'LEADER_SERVER_ERROR' }, watch: 'open' });
    lock.fate = () => 'answer';
    await time.advance(5_000);
    expect(told().slice(1)).toEqual(["log: 'x': recovered (LEADER_SERVER_ERROR)"]);
    expect(health()).not.toHaveProperty('error');
    expect(elector.state).toMatchObject({ kind: 'leading', error: undefined });
  });

  it('a hand-over names who has asked for it', async () => {
    const { time, lease, elector } = onSimulatedLease();
    await applicationOn(elector);
    await time.advance(5_000);
    const { stored } = lease;
    if (stored !== undefined) lease.edit({ ...stored.record, wantedBy: 'a person' });
    await time.advance(500);
    expect(lines).toContain("log: Handed over 'x' as me: steppedDown, asked by a person");
  });

  it.each([
    ['steppedDown', false],
    ['stopped', true],
  ] as const)('a release without an answer is not confirmed: %s', async (reason, stops) => {
    const { time, lock, elector } = onSimulatedLease();
    const app = await applicationOn(elector);
    await time.advance(5_000);
    lines.length = 0;
    lock.fate = () => failing;
    const ended = stops ? app.close() : elector.stepDown();
    await time.advance(20_000);
    await ended;
    expect(lines.filter((line) => !line.includes('LEADER_SERVER_ERROR'))).toEqual([
      "log: Handing over 'x' as me: waits up to 10 s for the release to be confirmed",
      expect.stringMatching(/^warn: 'x': LEADER_RELEASE_FAILED: /),
      `log: Stopped leading 'x' as me: ${reason}; the release is not confirmed`,
    ]);
    if (stops) return;
    lines.length = 0;
    lock.fate = () => 'answer';
    await time.advance(60_000);
    const again = elector.stepDown();
    await time.advance(500);
    await again;
    expect(lines.at(-1)).toBe("log: Handed over 'x' as me: steppedDown");
    expect(lines.filter((line) => line.includes('LEADER_RELEASE_FAILED'))).toEqual([]);
  });

  it.each([
    ['steppedDown', 'for 1 gated call(s)'],
    ['stopped', 'up to 20 s for 1 gated call(s)'],
  ])(
    'work that does not stop at once: one line says what the hand-over waits for: %s',
    async (reason, what) => {
      const { time, elector } = onSimulatedLease();
      const app = await applicationOn(elector);
      await time.advance(5_000);
      let end: () => void = () => undefined;
      const work = app.get(LeaderService).runAsLeader(() => new Promise<void>((resolve) => (end = resolve)));
      await time.advance(10);
      lines.length = 0;
      const closed = reason === 'stopped' ? app.close() : elector.stepDown();
      await time.advance(900);
      expect(lines).toEqual([]);
      await time.advance(5_000);
      end();
      await time.advance(1_000);
      await work;
      await closed;
      expect(lines).toEqual([
        `log: Handing over 'x' as me: waits ${what}`,
        `log: Handed over 'x' as me: ${reason}`,
      ]);
    },
  );

  it('a client that can never be loaded: an ERROR, and down, because this process can never lead', async () => {
    const { time, lock, start } = onSimulatedLease();
    const unusable = new LeaseRequestError('LEADER_CLIENT_UNUSABLE', 'not installed', {
      maybeCommitted: false,
    });
    lock.fate = () => unusable;
    const health = await start();
    await time.advance(60_000);
    expect(told()).toEqual(["error: 'x': LEADER_CLIENT_UNUSABLE: not installed"]);
    expect(health()).toMatchObject({ status: 'down', message: 'not installed' });
  });

  it('a denied watch, while other problems come and go: each recovers by itself', async () => {
    const { time, lock, watch, start } = onSimulatedLease();
    lock.watch = () => Promise.reject(denied);
    const health = await start();
    await time.advance(5_000);
    for (const _ of [1, 2]) {
      lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : failing);
      await time.advance(5_000);
      expect(health()).toMatchObject({ error: { code: 'LEADER_SERVER_ERROR' }, watch: 'denied' });
      lock.fate = () => 'answer';
      await time.advance(5_000);
      expect(health()).toMatchObject({ error: { code: 'LEADER_WATCH_DENIED' }, watch: 'denied' });
    }
    lock.watch = watch;
    await time.advance(120_000);
    expect(health()).toMatchObject({ watch: 'open' });
    expect(health()).not.toHaveProperty('error');
    expect(told().map((line) => line.replace(/(LEADER_\w+):.*/, '$1'))).toEqual([
      "warn: 'x': LEADER_WATCH_DENIED",
      "warn: 'x': LEADER_SERVER_ERROR",
      "log: 'x': recovered (LEADER_SERVER_ERROR), still failing (LEADER_WATCH_DENIED)",
      "warn: 'x': LEADER_SERVER_ERROR",
      "log: 'x': recovered (LEADER_SERVER_ERROR), still failing (LEADER_WATCH_DENIED)",
      "log: 'x': recovered (LEADER_WATCH_DENIED)",
    ]);
  });
});
