import { describe, expect, it } from 'vitest';
import {
  ElectionRunner,
  LeaderError,
  Readiness,
  ScriptedElector,
  StaticElector,
  overdueBy,
  type Candidacy,
  type ElectionEvent,
  type Elector,
  type MonotonicMs,
  type Role,
} from '../../../lib/election/index.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';

/** Starts an elector. @returns its events in short, in order. */
function storyOf(elector: Elector): string[] {
  const story: string[] = [];
  void elector.run(new AbortController().signal, (event) => {
    story.push(inShort(event));
  });
  return story;
}

function inShort(event: ElectionEvent): string {
  switch (event.type) {
    case 'stateChanged':
      return event.state.kind;
    case 'startedLeading':
      return 'started';
    case 'stoppedLeading':
      return `stopped: ${event.reason}`;
    case 'newLeader':
      return `leader ${event.identity}`;
    case 'error':
      return event.error.message;
  }
}

/** A candidacy that the test changes. */
class ChangingCandidacy implements Candidacy {
  stands = true;
  objection: LeaderError | undefined;
  abstains = false;
  #changed: () => void = () => undefined;

  observe(changed: () => void): () => void {
    this.#changed = changed;
    return () => undefined;
  }

  becomes(changes: Partial<Candidacy>): void {
    Object.assign(this, changes);
    this.#changed();
  }
}

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
    await time.advance(4_999);
    expect(elector.state.kind).toBe('following');
    await time.advance(1);
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
    expect(elector.state).not.toHaveProperty('campaigns');
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

  it('is what it is created as', () => {
    const clock = new SimulatedTime().clock();
    const parts = { role: 'follower', leaseName: 'billing', identity: 'me', clock } as const;
    const { leaseName, identity, role, clock: its } = new StaticElector(parts);
    expect({ leaseName, identity, role, clock: its }).toEqual(parts);
    expect(new StaticElector({ role: 'leader' }).leaseName).toBe('static');
  });

  it('refuses an invalid drainTimeout', () => {
    expect(() => new StaticElector({ role: 'leader', drainTimeout: -1 })).toThrow('drainTimeout is -1');
  });

  it('follows while its candidacy does not stand, and reports each objection once', async () => {
    const time = new SimulatedTime();
    const [one, other] = ['one', 'other'].map((why) => new LeaderError('LEADER_NOT_READY', why));
    const candidacy = new ChangingCandidacy();
    const elector = new StaticElector({ role: 'leader', identity: 'me', clock: time.clock(), candidacy });
    candidacy.becomes({ stands: false, objection: one });
    const story = storyOf(elector);
    candidacy.becomes({ stands: false, objection: one });
    candidacy.becomes({ stands: false, objection: other });
    expect(elector.state).toMatchObject({ kind: 'following', error: other });
    candidacy.becomes({ stands: true, objection: undefined });
    candidacy.becomes({ stands: true, objection: undefined });
    expect(elector.state).not.toHaveProperty('problems');
    candidacy.becomes({ stands: false, objection: undefined });
    await time.settle();
    expect(story).toEqual([
      'following', 'following', 'one', 'following', 'following', 'other',
      'following', 'leading', 'started', 'leader me', 'leading',
      'leading', 'handingOver', 'following', 'stopped: steppedDown', 'leader ',
    ]); // prettier-ignore
    expect(elector.state).not.toHaveProperty('campaigns');
  });

  it('shows that it does not campaign', () => {
    const candidacy = new ChangingCandidacy();
    const elector = new StaticElector({ role: 'leader', candidacy });
    candidacy.becomes({ stands: false, abstains: true });
    void elector.run(new AbortController().signal, () => undefined);
    expect(elector.state).toMatchObject({ kind: 'following', campaigns: false });
  });

  it('tells that nobody leads between its terms', async () => {
    const time = new SimulatedTime();
    const elector = new StaticElector({ role: 'leader', identity: 'me', clock: time.clock() });
    const story = storyOf(elector);
    await elector.stepDown();
    await time.advance(1_999);
    expect(elector.state).toMatchObject({ kind: 'following', leader: '' });
    await time.advance(1);
    expect(story.filter((line) => !/ing|Over/.test(line))).toEqual([
      'started', 'leader me', 'stopped: steppedDown', 'leader ', 'started', 'leader me',
    ]); // prettier-ignore
  });

  it('reports work that outlives drainTimeout', async () => {
    const time = new SimulatedTime();
    const clock = time.clock();
    const elector = new StaticElector({ role: 'leader', drainTimeout: 5_000, clock });
    const story = storyOf(elector);
    if (elector.state.kind === 'leading') elector.state.term.enter();
    void elector.stepDown();
    await time.advance(4_999);
    const before = story.length;
    await time.advance(1);
    expect(story.slice(before)).toEqual([expect.stringContaining('5000 ms after they were told to stop')]);
  });

  it('follows for ever, and shows the given leader', async () => {
    const elector = new StaticElector({ role: 'follower', leader: 'other' });
    const stop = new AbortController();
    const run = elector.run(stop.signal, () => undefined);
    expect(elector.state).toMatchObject({ kind: 'following', leader: 'other' });
    expect(elector.state).not.toHaveProperty('campaigns');
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

  it('yields the errors of the election', async () => {
    const error = new LeaderError('LEADER_NOT_READY', 'planted');
    const candidacy = { stands: false, objection: error, observe: () => () => undefined };
    const elector = new StaticElector({ role: 'leader', candidacy });
    const { errors } = new ElectionRunner(elector).start(new AbortController().signal);
    expect(await errors.next()).toEqual({ done: false, value: error });
  });

  it('ends a stream for a reader that stops reading, and keeps nothing for it', async () => {
    const elector = new ScriptedElector();
    const { roles } = new ElectionRunner(elector).start(new AbortController().signal);
    const end = { done: true, value: undefined };
    elector.grant();
    expect(await roles.return?.()).toEqual(end);
    elector.revoke();
    expect(await roles.next()).toEqual(end);
  });

  it('ends a stream whose reader waits', async () => {
    const { errors } = new ElectionRunner(new ScriptedElector()).start(new AbortController().signal);
    const waiting = errors.next();
    await errors.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
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
