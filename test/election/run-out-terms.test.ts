/** A term that has run out before anybody has checked it, seen by what is built on the election. */
import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import {
  JointElector,
  LeaderError,
  ScriptedElector,
  StaticElector,
  TermOverError,
  resolveElectionOptions,
  type Clock,
  type ElectionEvent,
  type LeadershipTerm,
} from '../../lib/election/index.js';
import { gateResult } from '../../lib/nest/gate/gated-result.js';
import { SimulatedLease } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';
import { World } from './candidate.js';

async function expiredTerm(world: World, first: (term: LeadershipTerm) => void): Promise<LeadershipTerm> {
  const baz = world.start('baz');
  await world.time.advanceUntil(() => baz.leads, 10_000);
  const { term } = baz;
  first(term);
  // The event loop was blocked: no timer has fired.
  world.time.jump(20_000);
  return term;
}

describe('a gated result that is used after the term has run out, but before the timer has fired', () => {
  it('generator: it ends with the error of the term', async () => {
    const world = new World();
    const failures: unknown[] = [];
    let gated: Generator | undefined;
    await expiredTerm(world, (term) => {
      const source = (function* () {
        yield 1;
        yield 2;
      })();
      gated = gateResult(source, {
        election: 'default',
        term,
        leave: () => undefined,
        failed: (error) => {
          failures.push(error);
        },
      }) as Generator;
      gated.next();
    });
    gated?.next();
    expect(failures[0]).toBeInstanceOf(TermOverError);
  });

  it('async iterable: it ends with the error of the term', async () => {
    const world = new World();
    const failures: unknown[] = [];
    let gated: AsyncGenerator | undefined;
    await expiredTerm(world, (term) => {
      const source = (async function* () {
        await Promise.resolve();
        yield 1;
      })();
      gated = gateResult(source, {
        election: 'default',
        term,
        leave: () => undefined,
        failed: (error) => {
          failures.push(error);
        },
      }) as AsyncGenerator;
    });
    await gated?.next();
    expect(failures[0]).toBeInstanceOf(TermOverError);
  });

  it('observable: it ends with the error of the term', async () => {
    const world = new World();
    const failures: unknown[] = [];
    let gated: Subject<unknown> | undefined;
    await expiredTerm(world, (term) => {
      gated = gateResult(new Subject(), {
        election: 'default',
        term,
        leave: () => undefined,
        failed: (error) => {
          failures.push(error);
        },
      }) as Subject<unknown>;
    });
    gated?.subscribe({ error: () => undefined });
    expect(failures[0]).toBeInstanceOf(TermOverError);
  });
});

function storyOf(events: readonly ElectionEvent[]): string[] {
  return events.map((event) => {
    switch (event.type) {
      case 'stateChanged':
        return event.state.kind;
      case 'startedLeading':
        return 'started';
      case 'stoppedLeading':
        return `stopped ${event.reason}`;
      case 'newLeader':
        return `leader '${event.identity}'`;
      case 'error':
        return event.error.code;
    }
  });
}

describe('a ScriptedElector', () => {
  it('does not show itself as the leader after its term has run out', async () => {
    const time = new SimulatedTime();
    const elector = new ScriptedElector({ clock: time.clock() });
    void elector.run(new AbortController().signal, () => undefined);
    elector.grant({ validFor: 1_000 });
    await time.advance(1);
    time.jump(2_000);
    expect(elector.state).toMatchObject({ kind: 'following', leader: '' });
  });

  it('refuses a second run, and continues with its roles', async () => {
    const time = new SimulatedTime();
    let taken = 0;
    let give: (role: 'leader' | 'follower') => void = () => undefined;
    const roles = {
      [Symbol.asyncIterator]: () => {
        taken += 1;
        return {
          next: () =>
            new Promise<IteratorResult<'leader' | 'follower'>>((resolve) => {
              give = (value) => {
                resolve({ done: false, value });
              };
            }),
        };
      },
    };
    const elector = new ScriptedElector({ clock: time.clock(), roles });
    void elector.run(new AbortController().signal, () => undefined);
    await time.advance(1);
    const first = give;
    const second = new AbortController();
    await expect(elector.run(second.signal, () => undefined)).rejects.toThrow();
    expect(taken).toBe(1);
    second.abort();
    first('leader');
    await time.advance(1);
    expect(elector.state.kind).toBe('leading');
  });
});

describe('a StaticElector', () => {
  it('does not begin a term when a follower steps down', async () => {
    const time = new SimulatedTime();
    const elector = new StaticElector({ role: 'leader', clock: time.clock() });
    const events: ElectionEvent[] = [];
    void elector.run(new AbortController().signal, (event) => events.push(event));
    await time.advance(1);
    await elector.stepDown({ cooldown: 1_000 });
    time.jump(1_500);
    const before = events.length;
    expect(elector.state.kind).toBe('following');
    void elector.stepDown();
    expect(storyOf(events.slice(before))).toEqual([]);
  });
});

/** A clock that shows a later time at every reading, as real ones do. */
function ticking(clock: Clock, time: SimulatedTime, armed: () => boolean): Clock {
  return {
    now: () => {
      const now = clock.now();
      if (armed()) time.jump(0.25);
      return now;
    },
    date: () => clock.date(),
    setTimer: (ms, callback) => clock.setTimer(ms, callback),
    random: () => clock.random(),
  };
}

describe('a JointElector', () => {
  it('ends a term that runs out between two checks with its reason, and no listener fails', async () => {
    const failures: string[] = [];
    for (let offset = 0; offset < 60; offset++) {
      const time = new SimulatedTime();
      let isArmed = false;
      const clock = ticking(time.clock(), time, () => isArmed);
      let version = 0;
      const nextVersion = (): number => (version += 1);
      const one = new SimulatedLease(time, { nextVersion });
      const two = new SimulatedLease(time, { nextVersion });
      const locks = [one.lock('baz'), two.lock('baz')] as const;
      const said: { objection?: LeaderError } = {};
      let changed = (): void => undefined;
      const elector = new JointElector({
        lock: locks[0],
        also: { leaseName: 'new', lock: locks[1] },
        clock,
        options: resolveElectionOptions({ leaseName: 'old' }, { leaseNamespace: 'default', identity: 'baz' }),
        candidacy: {
          stands: true,
          get objection() {
            return said.objection;
          },
          observe: (call) => {
            changed = call;
            return () => undefined;
          },
        },
      });
      void elector.run(new AbortController().signal, (event) => {
        if (event.type === 'error') failures.push(`${event.error.code}: ${String(event.error.cause)}`);
      });
      await time.advanceUntil(() => elector.state.kind === 'leading', 10_000);
      const { state } = elector;
      if (state.kind !== 'leading') throw new Error('not leading');
      // Shortly before the end, an event makes it check the term.
      time.jump(state.term.remaining() - 0.25 * offset - 0.1);
      isArmed = true;
      said.objection = new LeaderError('LEADER_NOT_READY', 'not ready');
      changed();
      isArmed = false;
      await time.settle();
      const bad = failures.filter((line) => line.startsWith('LEADER_LISTENER_FAILED'));
      expect({ offset, bad }).toEqual({ offset, bad: [] });
    }
  });
});
