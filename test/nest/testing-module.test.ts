/** `LeaderElectionTestingModule`: the test decides who leads, and when time passes for the election. */
import { Injectable, Logger } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  LeaderElectionModule,
  LeaderHealthIndicator,
  LeaderService,
  OnStoppedLeading,
  OnlyWhenLeader,
  getElectorToken,
  getLeaderToken,
} from '../../lib/index.js';
import {
  LeaderElectionTestingModule,
  ScriptedElector,
  SimulatedTime,
  type LeaderElectionTestingOptions,
} from '../../lib/testing.js';

let warned: string[] = [];
beforeEach(() => {
  warned = [];
  vi.spyOn(Logger.prototype, 'warn').mockImplementation((line: unknown) => {
    warned.push(String(line));
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

@Injectable()
class Endless {
  readonly ends: (() => void)[] = [];

  @OnlyWhenLeader()
  work(): Promise<void> {
    return new Promise((resolve) => {
      this.ends.push(resolve);
    });
  }
}

async function start(options?: LeaderElectionTestingOptions) {
  const app = await Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot(options)],
    providers: [Endless],
  }).compile();
  await app.init();
  return {
    app,
    elector: app.get(ScriptedElector),
    time: app.get(SimulatedTime),
    leader: app.get(LeaderService),
    health: app.get(LeaderHealthIndicator),
  };
}

describe.each([
  ['real timers', () => undefined],
  ['fake timers', () => vi.useFakeTimers()],
])('advance() beside %s', (_, fake) => {
  beforeEach(() => {
    fake();
  });

  it('lets a term run out', async () => {
    const { app, elector, time, leader } = await start();
    const told: string[] = [];
    leader.on('stoppedLeading', ({ reason }) => told.push(reason));
    elector.grant({ validFor: 10_000 });
    const { term } = leader;
    await time.advance(9_999);
    expect([leader.isLeader(), term?.remaining(), told]).toEqual([true, 1, []]);
    await time.advance(1);
    expect([leader.isLeader(), term?.remaining(), told]).toEqual([false, 0, ['deadline']]);
    expect([term?.signal.aborted, leader.getLeader()]).toEqual([true, '']);
    await app.close();
  });

  it('stands still otherwise', async () => {
    const { app, elector, leader } = await start();
    elector.grant({ validFor: 1 });
    if (vi.isFakeTimers()) await vi.advanceTimersByTimeAsync(60_000);
    expect(leader.term?.remaining()).toBe(1);
    await app.close();
  });
});

describe('advance()', () => {
  it('hands over at termLimit, when running work has ended', async () => {
    const { app, elector, time, leader } = await start({ termLimit: 60_000, startAs: 'leader' });
    const told: string[] = [];
    leader.on('stoppedLeading', ({ reason }) => told.push(reason));
    const work = app.get(Endless).work();
    await time.advance(60_000);
    expect([leader.state.kind, told]).toEqual(['handingOver', []]);
    app.get(Endless).ends[0]?.();
    await work;
    await time.advance(0);
    expect([leader.state.kind, told]).toEqual(['following', ['termLimit']]);
    elector.grant();
    await time.advance(59_999);
    expect(leader.isLeader()).toBe(true);
    await app.close();
  });

  it('past the termLimit of an earlier term does not end the present term', async () => {
    const { app, elector, time, leader } = await start({ termLimit: 60_000, startAs: 'leader' });
    const work = app.get(Endless).work();
    const steppingDown = leader.stepDown();
    elector.grant();
    await time.advance(60_000);
    app.get(Endless).ends[0]?.();
    await Promise.all([work, steppingDown]);
    expect(leader.isLeader()).toBe(true);
    elector.revoke('superseded', 'the-other');
    await time.advance(60_000);
    expect(leader.state).toMatchObject({ kind: 'following', leader: 'the-other' });
    await app.close();
  });

  it('ends a shutdown after drainTimeout, and a warning is logged', async () => {
    const { app, elector, time } = await start({ drainTimeout: 5_000 });
    elector.grant();
    void app.get(Endless).work();
    const closing = app.close();
    const closed = vi.fn();
    void closing.then(closed);
    await time.advance(4_999);
    expect(closed).not.toHaveBeenCalled();
    await time.advance(1);
    await closing;
    expect(warned.join()).toMatch(
      /LEADER_DRAIN_TIMEOUT: 1 gated call\(s\) on 'default' are still running 5000 ms/,
    );
  });

  it('a shutdown does not wait again for work of a lost term that has had its drainTimeout', async () => {
    const { app, elector, time } = await start({ drainTimeout: 5_000, startAs: 'leader' });
    void app.get(Endless).work();
    elector.revoke();
    await time.advance(5_000);
    const closed = vi.fn();
    void app.close().then(closed);
    await time.advance(0);
    expect(closed).toHaveBeenCalledOnce();
  });

  it('makes a leader overdue, and counts how long nobody led', async () => {
    const { app, elector, time, leader, health } = await start();
    await time.advance(7_000);
    expect(leader.leaderlessForMs).toBe(7_000);
    expect(health.isHealthy('x', { downWhenNoLeaderForMs: 6_999 })).toMatchObject({ x: { status: 'down' } });
    elector.grant({ validFor: 3_600_000 });
    await time.advance(35_000);
    expect([leader.leaderlessForMs, health.isHealthy('x')]).toMatchObject([0, { x: { status: 'up' } }]);
    await time.advance(1);
    expect(health.isHealthy('x')).toMatchObject({
      x: { status: 'down', message: 'acts as leader, but last renewed its lease 35001 ms ago' },
    });
    await app.close();
  });

  it('moves the time of every election of one application, and of no other application', async () => {
    const make = () =>
      Test.createTestingModule({
        imports: ['billing', 'reports'].map((name) => LeaderElectionTestingModule.forRoot({ name })),
      }).compile();
    const [one, two] = [await make(), await make()];
    await Promise.all([one.init(), two.init()]);
    const [billing, reports, other] = [
      [one, 'billing'],
      [one, 'reports'],
      [two, 'billing'],
    ].map(([app, name]) => {
      (app as typeof one).get<ScriptedElector>(getElectorToken(name as string)).grant({ validFor: 1_000 });
      return (app as typeof one).get<LeaderService>(getLeaderToken(name as string));
    });
    await one.get(SimulatedTime).advance(1_000);
    expect([billing, reports, other].map((leader) => leader?.isLeader())).toEqual([false, false, true]);
    await Promise.all([one.close(), two.close()]);
  });

  it('moves the time of an elector that overrides that of the real module', async () => {
    const time = new SimulatedTime();
    const elector = new ScriptedElector({ clock: time.clock() });
    const app = await Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'y' })],
    })
      .overrideProvider(getElectorToken())
      .useValue(elector)
      .compile();
    await app.init();
    await time.advance(3_000);
    expect(app.get(LeaderService).leaderlessForMs).toBe(3_000);
    await app.close();
  });

  it.each([[-1], [Number.NaN], [Number.POSITIVE_INFINITY], ['1' as never]])('refuses %s', async (ms) => {
    await expect(new SimulatedTime().advance(ms)).rejects.toThrow(`advance(${String(ms)}): it must be`);
  });
});

describe('grant()', () => {
  it('during a hand-over begins a term when it has ended; during a term it does nothing', async () => {
    const { app, elector, leader, time } = await start({ startAs: 'leader' });
    elector.grant({ fencingToken: 50n });
    expect(leader.term?.fencingToken).toBe(1n);
    const work = app.get(Endless).work();
    const steppedDown = elector.stepDown();
    elector.grant({ fencingToken: 9n, slot: 2 });
    expect(leader.isLeader()).toBe(false);
    app.get(Endless).ends[0]?.();
    await Promise.all([work, steppedDown]);
    expect([leader.term?.fencingToken, leader.term?.slot]).toEqual([9n, 2]);
    elector.revoke();
    elector.grant({ validFor: 1_000 });
    elector.grant();
    await time.advance(1_000);
    expect(leader.state.kind).toBe('following');
    await app.close();
  });
});

describe('invalid arguments', () => {
  it('forRoot() reports all of them at once', () => {
    const options = {
      startAs: 'follow',
      leading: true,
      identity: '',
      name: 7,
      drainTimeout: -1,
      termLimit: '1',
    };
    expect(() => LeaderElectionTestingModule.forRoot(options as never)).toThrow(
      expect.objectContaining({
        code: 'LEADER_INVALID_OPTIONS',
        violations: [
          `startAs is 'follow': it must be 'leader' or 'follower'`,
          'leading: there is no such option; the options are startAs, name, identity, drainTimeout, termLimit, metrics, traces',
          "identity is '': it must be a non-empty string",
          'name is 7: it must be a non-empty string',
          'drainTimeout is -1: it must be a number of milliseconds, 0 or more',
          "termLimit is '1': it must be a number of milliseconds, 0 or more",
        ],
      }),
    );
  });

  it.each([
    [{ fencingToken: 7 as never }, 'fencingToken is 7: it must be a bigint'],
    [{ fencingToken: -1n }, 'fencingToken is -1: it must be a bigint'],
    [{ slot: 0.5 }, 'slot is 0.5: it must be a whole number'],
    [{ validFor: 0 }, 'validFor is 0: it must be a number of milliseconds above 0'],
    [{ validFor: Number.NaN }, 'validFor is NaN'],
  ])('grant(%o)', (options, told) => {
    expect(() => {
      new ScriptedElector().grant(options);
    }).toThrow(told);
  });

  it('revoke() with an unknown reason', () => {
    expect(() => {
      new ScriptedElector().revoke('lost' as never);
    }).toThrow("the reason is 'lost': it must be one of released, deadline,");
  });
});

describe('closing an application', () => {
  it('waits for work for drainTimeout in real time, because simulated time stands still', async () => {
    const module = await Test.createTestingModule({
      imports: [LeaderElectionTestingModule.forRoot({ startAs: 'leader', drainTimeout: 10 })],
    }).compile();
    await module.init();
    const leave = module.get(LeaderService).term?.enter();
    await module.close();
    expect(warned).toEqual([
      expect.stringMatching(/1 gated call\(s\) still run 10 ms after the shutdown began/),
    ]);
    leave?.();
  });

  it('waits in the same way for a hook that does not end', async () => {
    @Injectable()
    class Stuck {
      @OnStoppedLeading()
      async stopped(): Promise<void> {
        await new Promise(() => undefined);
      }
    }
    const module = await Test.createTestingModule({
      imports: [LeaderElectionTestingModule.forRoot({ startAs: 'leader', drainTimeout: 10 })],
      providers: [Stuck],
    }).compile();
    await module.init();
    await module.close();
    expect(module.get(LeaderService).state.kind).toBe('stopped');
  });
});
