import { describe, expect, it } from 'vitest';
import {
  ElectionRunner,
  Readiness,
  ScriptedElector,
  StaticElector,
  overdueBy,
  type MonotonicMs,
  type Role,
} from '../../../lib/election/index.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';

describe('StaticElector', () => {
  it('leads from the start with token 0, until it is stopped', async () => {
    const elector = new StaticElector({ role: 'leader', identity: 'me' });
    const stop = new AbortController();
    const story: string[] = [];
    const run = elector.run(stop.signal, (event) => story.push(event.type));
    expect(elector.state).toMatchObject({ kind: 'leading', term: { fencingToken: 0n } });
    stop.abort();
    await run;
    expect(story).toEqual([
      'stateChanged',
      'stateChanged',
      'startedLeading',
      'newLeader',
      'stateChanged',
      'stateChanged',
      'stoppedLeading',
    ]);
    expect(elector.state.kind).toBe('stopped');
  });

  it('steps down, and leads again after the cool-down', async () => {
    const time = new SimulatedTime();
    const elector = new StaticElector({ role: 'leader', clock: time.clock() });
    void elector.run(new AbortController().signal, () => undefined);
    await elector.stepDown({ cooldown: 5_000 });
    expect(elector.state.kind).toBe('following');
    await time.advance(5_000);
    expect(elector.state.kind).toBe('leading');
  });

  it('leads while its candidacy stands, and shows what keeps it from that', async () => {
    const ready = { passes: false };
    const time = new SimulatedTime();
    const clock = time.clock();
    const candidacy = new Readiness({ check: () => ready.passes, interval: 1_000, clock });
    const elector = new StaticElector({ role: 'leader', clock, candidacy });
    const stop = new AbortController();
    const errors: string[] = [];
    const run = elector.run(stop.signal, (event) => {
      if (event.type === 'error') errors.push(event.error.code);
    });
    await time.advance(2_500);
    expect(elector.state).toMatchObject({ kind: 'following', error: { code: 'LEADER_NOT_READY' } });
    ready.passes = true;
    await time.advance(1_000);
    expect(elector.state).toMatchObject({ kind: 'leading', error: undefined });
    ready.passes = false;
    await time.advance(1_000);
    expect(elector.state.kind).toBe('following');
    expect(errors).toEqual(['LEADER_NOT_READY', 'LEADER_NOT_READY']);
    stop.abort();
    await run;
  });

  it('follows for ever, and shows the given leader', async () => {
    const elector = new StaticElector({ role: 'follower', leader: 'other' });
    const stop = new AbortController();
    const run = elector.run(stop.signal, () => undefined);
    expect(elector.state).toMatchObject({ kind: 'following', leader: 'other' });
    stop.abort();
    await run;
  });
});

describe('the source of the roles of a ScriptedElector', () => {
  const never = (): Promise<never> => new Promise(() => undefined);

  it('is closed when the election fails', async () => {
    let closed = false;
    const close = (): Promise<IteratorResult<Role>> => {
      closed = true;
      return Promise.resolve({ done: true, value: undefined });
    };
    const roles: AsyncIterable<Role> = {
      [Symbol.asyncIterator]: () => ({ next: never, return: close }),
    };
    const elector = new ScriptedElector({ roles });
    const run = elector.run(new AbortController().signal, () => undefined);
    elector.fail(new Error('no more'));
    await expect(run).rejects.toThrow('no more');
    expect(closed).toBe(true);
  });

  it('fails the election if it has no working iterator', async () => {
    const roles: AsyncIterable<Role> = {
      [Symbol.asyncIterator]: () => {
        throw new Error('not to be had');
      },
    };
    const run = new ScriptedElector({ roles }).run(new AbortController().signal, () => undefined);
    await expect(run).rejects.toThrow('not to be had');
  });

  it('may be an array, and need not have return()', async () => {
    const stop = new AbortController();
    const elector = new ScriptedElector({ roles: ['leader'] as unknown as AsyncIterable<Role> });
    const run = elector.run(stop.signal, (event) => {
      if (event.type === 'startedLeading') stop.abort();
    });
    await expect(run).resolves.toBeUndefined();
  });

  it('does not fail the election if it throws when it is closed', async () => {
    const stop = new AbortController();
    const next = (): Promise<never> =>
      new Promise((_, reject) => {
        stop.signal.addEventListener('abort', () => {
          reject(new Error('closed'));
        });
      });
    const roles: AsyncIterable<Role> = { [Symbol.asyncIterator]: () => ({ next }) };
    const run = new ScriptedElector({ roles }).run(stop.signal, () => undefined);
    stop.abort();
    await expect(run).resolves.toBeUndefined();
  });
});

async function* broken(): AsyncGenerator<Role> {
  yield await Promise.resolve('leader' as const);
  throw new Error('broken');
}

describe('ElectionRunner', () => {
  async function* script(...roles: Role[]): AsyncGenerator<Role> {
    for (const role of roles) {
      await Promise.resolve();
      yield role;
    }
  }

  it('yields each change of role once, and ends with the elector', async () => {
    const stop = new AbortController();
    const elector = new ScriptedElector({ roles: script('leader', 'leader', 'follower', 'leader') });
    const { roles, errors, stopped } = new ElectionRunner(elector).start(stop.signal);
    const seen: Role[] = [];
    for await (const role of roles) {
      seen.push(role);
      if (seen.length === 4) stop.abort();
    }
    await stopped;
    expect(seen).toEqual(['follower', 'leader', 'follower', 'leader', 'follower']);
    expect(await errors.next()).toEqual({ done: true, value: undefined });
  });

  it('closes the source of the roles when it is stopped', async () => {
    let closed: () => void = () => undefined;
    const isClosed = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const roles: AsyncIterable<Role> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => undefined),
        return: () => {
          closed();
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
    const stop = new AbortController();
    const run = new ScriptedElector({ roles }).run(stop.signal, () => undefined);
    stop.abort();
    await Promise.all([run, isClosed]);
  });

  it('is ended by a failure: no role is played afterwards', async () => {
    const elector = new ScriptedElector();
    const told: string[] = [];
    const run = elector.run(new AbortController().signal, ({ type }) => told.push(type));
    elector.grant();
    elector.fail(new Error('planted'));
    await expect(run).rejects.toThrow('planted');
    const before = told.length;
    elector.grant();
    expect([elector.state.kind, told.length - before]).toEqual(['stopped', 0]);
  });

  it('is ended by a failure before its run, too', async () => {
    const elector = new ScriptedElector();
    elector.fail(new Error('planted'));
    await expect(elector.run(new AbortController().signal, () => undefined)).rejects.toThrow('planted');
  });

  it('is ended by a failure of the source of the roles, too', async () => {
    const elector = new ScriptedElector({ roles: broken() });
    await expect(elector.run(new AbortController().signal, () => undefined)).rejects.toThrow('broken');
    expect(elector.state.kind).toBe('stopped');
  });

  it('yields fatal errors in a separate stream', async () => {
    const elector = new ScriptedElector();
    const { errors, stopped } = new ElectionRunner(elector).start(new AbortController().signal);
    elector.fail(new Error('planted'));
    await stopped;
    expect((await errors.next()).value).toMatchObject({ message: 'planted' });
  });

  it('can be started once', () => {
    const runner = new ElectionRunner(new ScriptedElector());
    runner.start(AbortSignal.abort());
    expect(() => runner.start(AbortSignal.abort())).toThrow(
      expect.objectContaining({ code: 'LEADER_ALREADY_STARTED' }),
    );
  });
});

describe('the overdue check (client-go scenarios 21 to 25)', () => {
  const hour = 3_600_000 as MonotonicMs;
  const facts = {
    acting: true,
    provedAt: 0 as MonotonicMs,
    leaseDuration: 15_000,
    maxTolerableExpiredLease: 20_000,
  };

  it.each([
    ['following, an hour later', { ...facts, acting: false }, hour, undefined],
    ['leading, within the lease', facts, 14_000 as MonotonicMs, undefined],
    ['leading, within the tolerance', facts, 35_000 as MonotonicMs, undefined],
    ['leading, an hour later', facts, hour, hour - 35_000],
  ])('%s', (_, given, now, overdue) => {
    expect(overdueBy(given, now)).toBe(overdue);
  });
});
