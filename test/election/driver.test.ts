/** The driver, with a machine that a test controls. */
import { describe, expect, it } from 'vitest';
import { NEVER, type MonotonicMs, type WallMs } from '../../lib/election/clock.js';
import { Driver, type Driven, type DriverParts } from '../../lib/election/driver.js';
import { runInTerm } from '../../lib/election/current-term.js';
import {
  LeaderError,
  type ElectionEvent,
  type ElectionFact,
  type ElectorState,
} from '../../lib/election/index.js';
import {
  newLife,
  type LifeEffect,
  type LifeEvent,
  type Phase,
  type Picture,
  type Reading,
  type Term,
} from '../../lib/election/life.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

const RULES = { leaseName: 'simulated', drainTimeout: 0, onLost: 'campaign', isGuarded: false } as const;

it('reports the events of a step before those of the steps that its effects cause', () => {
  const newLeader = (identity: string): LifeEffect => ({
    do: 'tell',
    event: { type: 'newLeader', identity },
  });
  // Without work, awaitIdle causes the next step at once.
  const effects = (type: string): LifeEffect[] => {
    if (type === 'begin') return [newLeader('first'), { do: 'awaitIdle' }, newLeader('second')];
    return type === 'workIdle' ? [newLeader('third')] : [];
  };
  const driver = new Driver<Driven, { type: 'begin' }, { do: 'nothing' }>({
    leaseName: 'simulated',
    identity: 'baz',
    clock: new SimulatedTime().clock(),
    initial: { life: newLife(RULES), wakeAt: NEVER },
    step: (state, { type }: ({ type: 'begin' } | LifeEvent) & { at: Reading }) => ({
      state,
      effects: effects(type),
    }),
    describe: () => ({ kind: 'idle' }),
    perform: () => undefined,
  });
  const told: unknown[] = [];
  void driver.run(
    new AbortController().signal,
    (event) => told.push(event.type === 'newLeader' ? event.identity : event.type),
    () => {
      driver.feed({ type: 'begin' });
      return () => undefined;
    },
  );
  expect(told).toEqual(['first', 'second', 'third']);
});

/** What the machine does with an event: its phase after it, and the effects. */
type Script = (event: Event) => { readonly phase?: Phase; readonly effects?: readonly Effect[] };
type Event = ({ readonly type: string } | LifeEvent) & { readonly at: Reading };
type Effect = LifeEffect | { readonly do: 'own' };

/** A driver whose machine does what `script` says, its run, and what comes of it. */
function driven(script: Script, more: Partial<DriverParts<Driven, { type: string }, { do: 'own' }>> = {}) {
  const time = new SimulatedTime();
  const life = newLife(RULES);
  const events: Event[] = [];
  const told: ElectionEvent[] = [];
  const performed: string[] = [];
  const driver = new Driver<Driven, { type: string }, { do: 'own' }>({
    leaseName: 'simulated',
    identity: 'baz',
    clock: time.clock(),
    initial: { life, wakeAt: NEVER },
    step: (state, event) => {
      events.push(event);
      const { phase = state.life.phase, effects = [] } = script(event);
      const wakeAt = event.type === 'timePassed' ? NEVER : state.wakeAt;
      return { state: { life: { ...state.life, phase }, wakeAt }, effects };
    },
    describe: ({ life: { phase } }) => ({ kind: phase.kind === 'stopped' ? 'stopped' : 'idle' }),
    perform: (effect) => performed.push(effect.do),
    ended: () => performed.push('ended'),
    ...more,
  });
  const run = (signal = new AbortController().signal, onEvent = (_: ElectionEvent): unknown => undefined) =>
    driver.run(
      signal,
      (event) => {
        told.push(event);
        onEvent(event);
      },
      () => {
        performed.push('started');
        return () => performed.push('disregarded');
      },
    );
  const codes = (): string[] => told.map((event) => (event.type === 'error' ? event.error.code : event.type));
  return { time, driver, events, told, codes, performed, run };
}

const STOPPED: Phase = { kind: 'stopped' };
const TERM: Term = {
  number: 1,
  fencingToken: 7n,
  slot: 0,
  startedAt: 0 as WallMs,
  beganAt: 0 as MonotonicMs,
  validity: { sentOn: 0 as WallMs, until: 10_000 as MonotonicMs, untilDate: 1e15 as WallMs },
  renewAfter: 3_000,
};
const LEADING: Phase = { kind: 'leading', term: TERM };
const beginning = (term = TERM) => ({
  phase: { kind: 'leading', term } as Phase,
  effects: [{ do: 'beginTerm', term }] as Effect[],
});
const ending: Effect = { do: 'endTerm', term: 1, reason: 'deadline', renewedAt: 0 as WallMs };
const tell = (identity: string): Effect => ({ do: 'tell', event: { type: 'newLeader', identity } });
const failure = new LeaderError('LEADER_UNREACHABLE', 'planted');
const broken = new Error('planted');

describe('a run', () => {
  it('ends when the machine has stopped, after the effects of that step; then nothing happens any more', async () => {
    const stop = new AbortController();
    const { driver, events, codes, performed, run } = driven(({ type }) =>
      type === 'quit' ? { phase: STOPPED, effects: [{ do: 'own' }] } : {},
    );
    const running = run(stop.signal);
    driver.feed({ type: 'quit' });
    await running;
    expect(performed).toEqual(['started', 'own', 'ended', 'disregarded']);
    stop.abort();
    driver.look();
    driver.report(failure);
    expect(events.map(({ type }) => type)).toEqual(['quit', 'timePassed']);
    expect(performed).toHaveLength(4);
    expect(codes()).toEqual([]);
  });

  it('performs no effects of a step after one of them has stopped the election', async () => {
    const { driver, performed, run } = driven(
      ({ type }) =>
        type === 'begin' ? { effects: [{ do: 'awaitIdle' }, { do: 'own' }] } : { phase: STOPPED },
      { ended: undefined as never },
    );
    const running = run();
    driver.feed({ type: 'begin' });
    await running;
    expect(performed).toEqual(['started', 'disregarded']);
  });

  it('that was stopped before it began does not start', async () => {
    const { performed, run } = driven(() => ({ phase: STOPPED }));
    await run(AbortSignal.abort());
    expect(performed).toEqual(['ended']);
  });

  it('is that of the identity which it was given', () => {
    expect(driven(() => ({})).driver.identity).toBe('baz');
  });

  it('checks the clocks when the machine wants to wake up', async () => {
    const { time, driver, events, run } = driven(() => ({}), {
      initial: { life: newLife(RULES), wakeAt: 5_000 as MonotonicMs },
    });
    void run();
    driver.feed({ type: 'begin' });
    await time.advance(4_999);
    expect(events).toHaveLength(1);
    await time.advance(1);
    expect(events.map(({ type }) => type)).toContain('timePassed');
  });
});

describe('an observer', () => {
  it('is told one event after the other, also of those that it causes', () => {
    const { driver, run } = driven(({ type }) => ({
      effects: type === 'begin' ? [tell('first'), tell('second')] : [tell('third')],
    }));
    const heard: string[] = [];
    void run(undefined, (event) => {
      if (event.type !== 'newLeader') return;
      heard.push(`${event.identity} begins`);
      if (event.identity === 'first') driver.feed({ type: 'more' });
      heard.push(`${event.identity} ends`);
    });
    driver.feed({ type: 'begin' });
    expect(heard).toEqual([
      'first begins',
      'first ends',
      'second begins',
      'second ends',
      'third begins',
      'third ends',
    ]);
  });

  it('that reports an error while it is told of one is told of that afterwards', () => {
    const { driver, run } = driven(() => ({}));
    const heard: string[] = [];
    void run(undefined, () => {
      const number = heard.push('begins');
      if (number === 1) driver.report(failure);
      heard.push('ends');
    });
    driver.report(failure);
    expect(heard).toEqual(['begins', 'ends', 'begins', 'ends']);
  });

  it('that always throws is told of its first error, and no more of that', () => {
    const { driver, codes, run } = driven(() => ({ effects: [tell('bing')] }));
    void run(undefined, () => {
      throw new Error('planted');
    });
    driver.feed({ type: 'begin' });
    expect(codes()).toEqual(['newLeader', 'LEADER_LISTENER_FAILED']);
    driver.report(failure);
    expect(codes().slice(2)).toEqual(['LEADER_UNREACHABLE', 'LEADER_LISTENER_FAILED']);
  });

  it('is told of an error at once, or after the events of the step in progress', () => {
    const { driver, codes, run } = driven(() => ({ effects: [{ do: 'own' }, tell('bing')] }), {
      perform: () => {
        driver.report(failure);
      },
    });
    void run();
    driver.report(failure);
    expect(codes()).toEqual(['LEADER_UNREACHABLE']);
    driver.feed({ type: 'begin' });
    expect(codes()).toEqual(['LEADER_UNREACHABLE', 'newLeader', 'LEADER_UNREACHABLE']);
  });

  it.each<[string, Partial<DriverParts<Driven, { type: string }, { do: 'own' }>>, string]>([
    [
      'a trace',
      {
        trace: () => {
          throw new Error('planted');
        },
      },
      'LEADER_LISTENER_FAILED',
    ],
    [
      'a candidacy',
      {
        stands: () => {
          throw new Error('planted');
        },
      },
      'LEADER_NOT_READY',
    ],
  ])('is told once of %s that throws', (_, more, code) => {
    const { driver, codes, run } = driven(() => ({}), more);
    void run();
    for (const type of ['first', 'second', 'third']) driver.feed({ type });
    expect(codes()).toEqual([code]);
  });
});

it('a process whose candidacy throws does not stand, and one without a candidacy does', () => {
  const throws = driven(() => ({}), {
    stands: () => {
      throw new Error('planted');
    },
  });
  throws.driver.feed({ type: 'begin' });
  expect(throws.events.map(({ at }) => at.stands)).toEqual([false]);
  const stands = driven(() => ({}));
  stands.driver.feed({ type: 'begin' });
  expect(stands.events.map(({ at }) => at.stands)).toEqual([true]);
});

it('a meter learns of errors, and gets the handle of each term', () => {
  const facts: ElectionFact[] = [];
  const measured: Effect[] = [
    { do: 'measure', fact: { type: 'termBegan', term: 1, takeover: 'none' } },
    { do: 'measure', fact: { type: 'slowPath' } },
    { do: 'measure', fact: { type: 'termEnded', term: 1, reason: 'deadline', lengthMs: 5 } },
  ];
  const { driver, run } = driven(() => ({ ...beginning(), effects: [...beginning().effects, ...measured] }), {
    meter: (fact) => facts.push(fact),
  });
  void run();
  driver.feed({ type: 'begin' });
  driver.report(failure);
  const term = expect.objectContaining({ leaseName: 'simulated' }) as unknown;
  expect(facts).toEqual([
    { type: 'termBegan', term, takeover: 'none' },
    { type: 'slowPath' },
    { type: 'termEnded', term, reason: 'deadline', lengthMs: 5 },
    { type: 'failed', code: 'LEADER_UNREACHABLE' },
  ]);
});

describe('a term', () => {
  it('is not waited for by work of an earlier term, which its hand-over waits for', async () => {
    const { driver, run } = driven(
      ({ type }) => {
        if (type === 'begin') return beginning();
        if (type === 'again') return beginning({ ...TERM, number: 2 });
        return type === 'lose' ? { phase: { kind: 'following' }, effects: [ending] } : {};
      },
      { describe: ({ life }) => ({ kind: 'leading', term: life.terms + 1, watch: 'open', problems: [] }) },
    );
    void run();
    driver.feed({ type: 'begin' });
    const { shown } = driver;
    driver.work.enter();
    driver.feed({ type: 'lose' });
    driver.feed({ type: 'again' });
    await runInTerm('default', (shown as ElectorState & { kind: 'leading' }).term, () =>
      driver.feedAndAwaitEnd({ type: 'step down' }),
    );
    expect(driver.life.phase).toMatchObject({ kind: 'leading', term: { number: 2 } });
  });

  it('that lasts for ever needs no timer', () => {
    const endless = { ...TERM, validity: { ...TERM.validity, until: NEVER } };
    const { time, driver, run } = driven(() => beginning(endless));
    void run();
    driver.feed({ type: 'begin' });
    expect(time.pending).toBe(0);
  });

  it('that has ended is forgotten, with its timer', () => {
    const { time, driver, run } = driven(({ type }) => {
      if (type === 'begin') return beginning();
      return { phase: { kind: 'following' }, effects: [ending] };
    });
    void run();
    driver.feed({ type: 'begin' });
    expect(time.pending).toBe(1);
    driver.feed({ type: 'end' });
    expect(time.pending).toBe(0);
    expect(() => {
      driver.feed({ type: 'end again' });
    }).toThrow('Unknown term 1.');
  });

  it('whose owner cannot confirm anything is confirmed', async () => {
    const { driver } = driven(() => beginning());
    driver.feed({ type: 'begin' });
    await expect(driver.confirm({} as never, undefined)).resolves.toBeUndefined();
  });

  it.each(['start', 'end'] as const)('without a guard has nothing to wait for at its %s', async (when) => {
    const { time, driver, events, run } = driven(({ type }) =>
      type === 'begin'
        ? { ...beginning(), effects: [...beginning().effects, { do: 'guard', when, term: 1 }] }
        : {},
    );
    void run();
    driver.feed({ type: 'begin' });
    await time.settle();
    expect(events.at(-1)).toMatchObject({ type: 'guardFinished', when, term: 1, error: undefined });
  });

  it('whose guard has finished its start leaves no timer behind when it ends', async () => {
    const { time, driver, run } = driven(({ type }) => {
      if (type === 'begin')
        return { ...beginning(), effects: [...beginning().effects, { do: 'guard', when: 'start', term: 1 }] };
      return type === 'end' ? { phase: { kind: 'following' }, effects: [ending] } : {};
    });
    void run();
    driver.feed({ type: 'begin' });
    await time.settle();
    driver.feed({ type: 'end' });
    expect(time.pending).toBe(0);
  });

  it.each<[string, () => Promise<void>, unknown]>([
    [
      'fails, its error is the cause',
      () => Promise.reject(broken),
      expect.objectContaining({ cause: broken }),
    ],
    [
      'takes too long, there is no cause',
      () => new Promise(() => undefined),
      expect.not.objectContaining({ cause: expect.anything() as unknown }),
    ],
  ])('whose guard %s', async (_, atStart, error) => {
    const { time, driver, events, run } = driven(
      ({ type }) =>
        type === 'begin'
          ? { ...beginning(), effects: [...beginning().effects, { do: 'guard', when: 'start', term: 1 }] }
          : {},
      { guardMs: 2_000, guard: { atStart, atEnd: () => Promise.resolve() } },
    );
    void run();
    driver.feed({ type: 'begin' });
    await time.advance(2_000);
    expect(events.at(-1)).toMatchObject({ type: 'guardFinished', error });
  });

  it('that is handed over is shown with the first problem', () => {
    const picture: Picture = {
      kind: 'handingOver',
      term: 1,
      reason: 'stopped',
      watch: 'open',
      problems: [failure, new LeaderError('LEADER_SERVER_ERROR', 'planted')],
    };
    const { driver } = driven(() => beginning(), {
      describe: () => picture,
    });
    driver.feed({ type: 'begin' });
    expect(driver.shown).toMatchObject({
      kind: 'handingOver',
      reason: 'stopped',
      error: failure,
      stillRunning: 0,
    });
    expect(driver.life.phase).toEqual(LEADING);
  });
});
