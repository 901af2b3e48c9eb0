/** Consequences of a step: other steps, errors of user code that it calls, and a stop in the middle of it. */
import { describe, expect, it } from 'vitest';
import {
  LeaderError,
  LeaseElector,
  ScriptedElector,
  WatchKeeper,
  resolveElectionOptions,
  type Candidacy,
  type ElectionEvent,
  type TermGuard,
  type WatchEvent,
} from '../../lib/election/internal.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';
import { World, type Candidate } from './candidate.js';

async function leading(candidate: Candidate, world: World): Promise<void> {
  await world.time.advanceUntil(() => candidate.leads, 60_000);
}

describe('a term that has ended', () => {
  it('knows when it was renewed last', async () => {
    const world = new World();
    const baz = world.start('baz');
    await leading(baz, world);
    const { term } = baz;
    await world.time.advance(30_000);
    const renewedAt = term.renewedAt;
    expect(renewedAt).toBeGreaterThan(term.startedAt + 20_000);
    baz.stop();
    await world.time.advance(1_000);
    expect(baz.ended).toBe(true);
    expect(term.renewedAt).toBe(renewedAt);
  });
});

describe('a candidacy whose `stands` throws', () => {
  it('the signal of the term fires when its validity has run out', async () => {
    const world = new World();
    let broken = false;
    const baz = world.start('baz', {}, {}, () => ({
      get stands(): boolean {
        if (broken) throw new Error('broken');
        return true;
      },
      objection: undefined,
      observe: () => () => undefined,
    }));
    await leading(baz, world);
    const { term } = baz;
    const rejections: unknown[] = [];
    const note = (error: unknown): void => void rejections.push(error);
    process.on('unhandledRejection', note);
    broken = true;
    try {
      for (let n = 0; n < 60; n++) {
        try {
          await world.time.advance(500);
        } catch {
          // Like an application that continues after an uncaught exception.
        }
      }
    } finally {
      process.removeListener('unhandledRejection', note);
    }
    expect(term.isOver).toBe(true);
    expect(term.signal.aborted).toBe(true);
  });

  it('causes no loop of timers that throw', async () => {
    const world = new World();
    let broken = false;
    let thrown = 0;
    const baz = world.start('baz', {}, {}, () => ({
      get stands(): boolean {
        if (!broken) return true;
        thrown += 1;
        throw new Error('broken');
      },
      objection: undefined,
      observe: () => () => undefined,
    }));
    await leading(baz, world);
    const rejections: unknown[] = [];
    const note = (error: unknown): void => void rejections.push(error);
    process.on('unhandledRejection', note);
    broken = true;
    try {
      for (let n = 0; n < 200; n++) {
        try {
          await world.time.step(world.time.now + 10_000);
        } catch {
          // As above.
        }
        if (world.time.now > 20_000) break;
      }
    } finally {
      process.removeListener('unhandledRejection', note);
    }
    expect(thrown).toBeLessThan(100);
  });

  it('does not prevent throwIfOver() of an expired term from throwing', async () => {
    const world = new World();
    let broken = false;
    const baz = world.start('baz', {}, {}, () => ({
      get stands(): boolean {
        if (broken) throw new Error('broken');
        return true;
      },
      objection: undefined,
      observe: () => () => undefined,
    }));
    await leading(baz, world);
    const { term } = baz;
    world.time.jump(20_000);
    broken = true;
    expect(() => {
      term.throwIfOver();
    }).toThrow(/term/i);
  });
});

describe('a candidacy with an objection', () => {
  const objection = new LeaderError('LEADER_NOT_READY', 'not ready');
  it('that calls back before observe() returns is reported while following, never while idle', () => {
    const world = new World();
    const candidacy: Candidacy = {
      stands: false,
      objection,
      observe: (changed) => {
        changed();
        return () => undefined;
      },
    };
    const baz = world.start('baz', {}, {}, () => candidacy);
    const told = baz.events.map((event) => (event.type === 'stateChanged' ? event.state.kind : event.type));
    expect(told).not.toContain('idle');
  });

  it('from the beginning is reported when it calls back', () => {
    const world = new World();
    let changed = (): void => undefined;
    const baz = world.start('baz', {}, {}, () => ({
      stands: false,
      objection,
      observe: (call) => {
        changed = call;
        return () => undefined;
      },
    }));
    changed();
    expect(baz.story).toContain('error LEADER_NOT_READY');
  });
});

describe('a guard', () => {
  it('gets the signal of its atStart() before its atEnd() is called', async () => {
    const world = new World();
    const story: string[] = [];
    const guard: TermGuard = {
      atStart: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            story.push('start given up');
            reject(signal.reason as Error);
          });
        }),
      atEnd: () => {
        story.push('end');
        return Promise.resolve();
      },
    };
    const baz = world.start('baz', {}, {}, undefined, guard);
    await world.time.advanceUntil(() => world.lease.stored?.record.holderIdentity === 'baz', 10_000);
    await world.time.advance(100);
    baz.stop();
    await world.time.advance(1_000);
    expect(story).toEqual(['start given up', 'end']);
  });
});

describe('waiting for work', () => {
  it('does not end when only the work of an earlier term has ended', async () => {
    const time = new SimulatedTime();
    const elector = new ScriptedElector({ clock: time.clock() });
    const stop = new AbortController();
    const story: string[] = [];
    let leaveLast: (() => void) | undefined;
    let terms = 0;
    void elector.run(stop.signal, (event) => {
      if (event.type === 'startedLeading') {
        terms += 1;
        story.push(`started ${String(terms)}`);
        if (terms === 3) {
          leaveLast = event.term.enter();
          void elector.stepDown();
        }
      }
      if (event.type === 'stoppedLeading') story.push(`stopped ${event.reason}`);
    });
    await time.advance(1);
    elector.grant();
    await time.advance(1);
    const { state } = elector;
    if (state.kind !== 'leading') throw new Error(state.kind);
    const leaveFirst = state.term.enter();
    elector.revoke();
    elector.grant();
    await time.advance(1);
    void elector.stepDown();
    elector.grant();
    await time.advance(1);
    expect(elector.state.kind).toBe('handingOver');
    leaveFirst();
    await time.advance(1);
    expect(story).toEqual([
      'started 1',
      'stopped superseded',
      'started 2',
      'stopped steppedDown',
      'started 3',
    ]);
    expect(elector.state).toMatchObject({ kind: 'handingOver', stillRunning: 1 });
    leaveLast?.();
    await time.advance(1);
    expect(story.at(-1)).toBe('stopped steppedDown');
  });

  it('happens also for a term that runs out while its abort listeners run', async () => {
    const world = new World();
    const baz = world.start('baz', { drainTimeout: 60_000 });
    await leading(baz, world);
    const { term } = baz;
    const leave = term.enter();
    term.signal.addEventListener('abort', () => {
      // The listener is busy until the validity has run out, and then checks the term.
      world.time.jump(11_000);
      void baz.elector.stepDown();
    });
    void baz.elector.stepDown({ cooldown: 0 });
    await world.time.advance(1_000);
    expect(baz.story.at(-1)).toBe('stopped deadline');
    expect(baz.state).toMatchObject({ kind: 'following', stillRunning: 1 });
    leave();
    await world.time.advance(5_000);
    expect(baz.state.kind).toBe('leading');
  });

  it('is reported when it takes longer than drainTimeout', async () => {
    const world = new World();
    const baz = world.start('baz', { drainTimeout: 5_000 });
    await leading(baz, world);
    const { term } = baz;
    term.enter();
    term.signal.addEventListener('abort', () => {
      world.time.jump(11_000);
      void baz.elector.stepDown();
    });
    void baz.elector.stepDown({ cooldown: 0 });
    await world.time.advance(20_000);
    expect(baz.story).toContain('error LEADER_DRAIN_TIMEOUT');
  });
});

describe('an elector that is stopped in the middle of a step', () => {
  it('writes nothing after it has stopped', async () => {
    const world = new World();
    const baz = world.start('baz', { releaseOnCancel: false });
    await leading(baz, world);
    const { term } = baz;
    term.signal.addEventListener('abort', () => {
      baz.stop();
    });
    // The lease is still ours, and the term has run out, so the lease may be acquired again at once.
    const before = world.lease.requests.length;
    world.time.jump(10_500);
    await world.time.advance(5_000);
    expect(baz.ended).toBe(true);
    const writes = world.lease.requests.slice(before).filter(({ verb }) => verb !== 'get');
    expect(writes).toEqual([]);
  });

  it('has no open watch after it has stopped (onLost exit)', async () => {
    const world = new World();
    const baz = world.prepare('baz', { releaseOnCancel: false, onLost: 'exit' });
    const open = new Set<AbortSignal>();
    let end = (): void => undefined;
    baz.lock.watch = (onEvent: (event: WatchEvent) => void, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        if (signal.aborted) {
          resolve();
          return;
        }
        open.add(signal);
        const done = (): void => {
          open.delete(signal);
          resolve();
        };
        end = done;
        signal.addEventListener('abort', done);
        onEvent({ kind: 'opened' });
      });
    baz.start();
    await leading(baz, world);
    // The watch ends twice in a row, so the next is opened after a pause.
    end();
    await world.time.settle();
    await world.time.advance(1);
    end();
    await world.time.settle();
    expect(open.size).toBe(0);
    // The event loop is blocked past the validity and the pause.
    world.time.jump(10_500);
    await world.time.advance(30_000);
    expect(baz.ended).toBe(true);
    expect(open.size).toBe(0);
  });

  it("has no open watch after it was stopped by a listener of its term's signal", async () => {
    const world = new World();
    const baz = world.prepare('baz', { releaseOnCancel: false });
    const open = new Set<AbortSignal>();
    let end = (): void => undefined;
    baz.lock.watch = (onEvent: (event: WatchEvent) => void, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        if (signal.aborted) {
          resolve();
          return;
        }
        open.add(signal);
        const done = (): void => {
          open.delete(signal);
          resolve();
        };
        end = done;
        signal.addEventListener('abort', done);
        onEvent({ kind: 'opened' });
      });
    baz.start();
    await leading(baz, world);
    baz.term.signal.addEventListener('abort', () => {
      baz.stop();
    });
    end();
    await world.time.advance(1);
    end();
    await world.time.settle();
    expect(open.size).toBe(0);
    world.time.jump(10_500);
    await world.time.advance(30_000);
    expect(baz.ended).toBe(true);
    expect(open.size).toBe(0);
  });
});

describe('the order of events and effects', () => {
  it('the signal fires before the loss is reported, whatever else the step does', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    let end = (): void => undefined;
    baz.lock.watch = (onEvent: (event: WatchEvent) => void, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        end = resolve;
        signal.addEventListener('abort', () => {
          resolve();
        });
        onEvent({ kind: 'opened' });
      });
    baz.start();
    await leading(baz, world);
    const { term } = baz;
    const abortedWhenTold: boolean[] = [];
    const original = baz.events.push.bind(baz.events);
    baz.events.push = (...events: ElectionEvent[]): number => {
      for (const event of events)
        if (event.type === 'stoppedLeading') abortedWhenTold.push(term.signal.aborted);
      return original(...events);
    };
    end();
    await world.time.advance(1);
    end();
    await world.time.settle();
    // Another process takes the lease. A read is in flight, and the event loop is blocked until the watch is overdue.
    if (world.lease.stored === undefined) throw new Error('none');
    world.lease.edit({ ...world.lease.stored.record, holderIdentity: 'bing' });
    void term.confirm().catch(() => undefined);
    // The reply is in flight.
    await world.time.advance(1);
    world.time.jump(4_000);
    await world.time.advance(100);
    expect(abortedWhenTold).toEqual([true]);
  });

  it('the signal fires before the loss is reported, also with a meter that throws', async () => {
    const world = new World();
    const abortedWhenTold: boolean[] = [];
    let isBroken = false;
    const baz = world.prepare('baz', {}, {}, undefined, undefined, (fact) => {
      if (isBroken && fact.type === 'watch') throw new Error('no figures');
    });
    baz.lock.watch = (onEvent: (event: WatchEvent) => void, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          resolve();
        });
        void Promise.resolve().then(() => {
          onEvent({ kind: 'opened' });
        });
      });
    baz.start();
    await leading(baz, world);
    const { term } = baz;
    const original = baz.events.push.bind(baz.events);
    baz.events.push = (...events: ElectionEvent[]): number => {
      for (const event of events)
        if (event.type === 'stoppedLeading') abortedWhenTold.push(term.signal.aborted);
      return original(...events);
    };
    // A renewal is seen in its reply, so the watch must show it, too, and is reopened when that is overdue.
    await world.time.advance(4_500);
    isBroken = true;
    if (world.lease.stored === undefined) throw new Error('none');
    world.lease.edit({ ...world.lease.stored.record, holderIdentity: 'bing' });
    void baz.term.confirm().catch(() => undefined);
    await world.time.advance(1);
    world.time.jump(3_000);
    await world.time.advance(100);
    expect(abortedWhenTold).toEqual([true]);
  });

  it('a trace may read the state', async () => {
    const world = new World();
    const errors: string[] = [];
    let lines = 0;
    const elector: LeaseElector = new LeaseElector({
      lock: world.lease.lock('baz'),
      clock: world.time.clock(),
      options: resolveElectionOptions(
        { leaseName: 'simulated' },
        { leaseNamespace: 'default', identity: 'baz' },
      ),
      trace: () => {
        if (elector.state.kind !== 'stopped') lines += 1;
      },
    });
    const stop = new AbortController();
    void elector.run(stop.signal, (event) => {
      if (event.type === 'error') errors.push(event.error.message);
    });
    await world.time.advanceUntil(() => elector.state.kind === 'leading', 10_000);
    await world.time.advance(20_000);
    expect(errors).toEqual([]);
    expect(lines).toBeGreaterThan(10);
  });
});

describe('a watch keeper', () => {
  it('that is stopped by its onStateChange() opens nothing', async () => {
    const time = new SimulatedTime();
    const open = new Set<AbortSignal>();
    const keeper: WatchKeeper = new WatchKeeper(
      {
        watch: (_, signal) =>
          new Promise((resolve) => {
            if (signal.aborted) {
              resolve();
              return;
            }
            open.add(signal);
            signal.addEventListener('abort', () => {
              open.delete(signal);
              resolve();
            });
          }),
      },
      time.clock(),
      2_000,
      {
        onEvent: () => undefined,
        onStateChange: (state) => {
          if (state === 'connecting') keeper.stop();
        },
        onError: () => undefined,
      },
    );
    keeper.start();
    await time.advance(60_000);
    expect(open.size).toBe(0);
    expect(keeper.state).toBe('closed');
  });

  it('that is stopped by its onError() opens nothing', async () => {
    const time = new SimulatedTime();
    let opened = 0;
    const keeper: WatchKeeper = new WatchKeeper(
      {
        watch: () => {
          opened += 1;
          return Promise.reject(new Error('no'));
        },
      },
      time.clock(),
      2_000,
      {
        onEvent: () => undefined,
        onStateChange: () => undefined,
        onError: () => {
          keeper.stop();
        },
      },
    );
    keeper.start();
    await time.advance(60_000);
    expect(opened).toBe(1);
    expect(keeper.state).toBe('closed');
  });
});
