/** A life, phase by phase: what it shows, and which events change it. An event that is late, or about another term, changes nothing. */
import { describe, expect, it } from 'vitest';
import type { MonotonicMs, WallMs } from '../../lib/election/clock.js';
import { LeaderError } from '../../lib/election/index.js';
import {
  awaitsRelease,
  extendTerm,
  isOpen,
  lifeDue,
  loseTerm,
  newLife,
  onLifeEvent,
  pictureOf,
  quit,
  renewableTerm,
  type HandingOver,
  type Life,
  type LifeEffect,
  type LifeEvent,
  type LifeTurn,
  type Phase,
  type Surroundings,
  type Term,
} from '../../lib/election/life.js';

const mono = (ms: number): MonotonicMs => ms as MonotonicMs;
const wall = (ms: number): WallMs => ms as WallMs;

/** Valid before instant 10. */
const term: Term = {
  number: 2,
  fencingToken: 7n,
  slot: 0,
  startedAt: wall(0),
  beganAt: mono(0),
  validity: { sentOn: wall(0), until: mono(10), untilDate: wall(10) },
  renewAfter: 3,
};
const rules = { leaseName: 'billing', drainTimeout: 20, onLost: 'campaign', isGuarded: false } as const;
const surroundings: Surroundings = { leader: 'bing', expiresAt: mono(9), watch: 'open' } as never;

const following: Phase = { kind: 'following' };
const starting: Phase = { kind: 'starting', term, takeover: 'expired' as never };
const leading: Phase = { kind: 'leading', term };
const handingOver = (awaiting: HandingOver['awaiting'], announced = true): Phase => ({
  kind: 'handingOver',
  term,
  reason: 'steppedDown',
  cooldown: 0,
  announced,
  awaiting,
});
const leaving = (awaiting: 'work' | 'release'): Phase => ({ kind: 'leaving', awaiting });

function lifeIn(phase: Phase, more: Partial<Life> = {}): Life {
  return { ...newLife(rules), phase, terms: 2, ...more };
}

function turnOf(life: Life, running = 0): LifeTurn & { readonly effects: LifeEffect[] } {
  const at = { now: mono(1), date: wall(1), chance: 0, running, stands: true };
  return {
    life,
    at,
    effects: [],
    picture() {
      return pictureOf(this.life, at, surroundings);
    },
  };
}

/** An effect in a word or two. */
function inShort(effect: LifeEffect): string {
  switch (effect.do) {
    case 'tell':
      return effect.event.type === 'stateChanged' ? `show ${effect.event.state.kind}` : effect.event.type;
    case 'measure':
      return effect.fact.type;
    case 'guard':
      return `guard ${effect.when}`;
    case 'endTerm':
      return `end ${effect.reason}`;
    case 'beginTerm':
    case 'closeTerm':
    case 'awaitIdle':
      return effect.do;
  }
}

describe('what is shown', () => {
  it.each<[string, Phase, number, Partial<Surroundings>, object]>([
    ['before the start', { kind: 'idle' }, 1, {}, { kind: 'idle' }],
    ['after the end', { kind: 'stopped' }, 1, {}, { kind: 'stopped' }],
    ['a follower', following, 1, {}, { kind: 'following', leader: 'bing', expiresAt: 9 }],
    [
      'a follower, with what the leader wrote about itself',
      following,
      1,
      { leaderNote: { url: 'x' } as never },
      { kind: 'following', leader: 'bing', expiresAt: 9, leaderNote: { url: 'x' } },
    ],
    [
      'a follower that does not campaign',
      following,
      1,
      { campaigns: false },
      { kind: 'following', leader: 'bing', expiresAt: 9, campaigns: false },
    ],
    [
      'a term whose guard has not finished',
      starting,
      1,
      {},
      { kind: 'following', leader: 'bing', expiresAt: 9 },
    ],
    ['a leader', leading, 9, {}, { kind: 'leading', term: 2 }],
    ['a leader whose term has run out', leading, 10, {}, { kind: 'following', leader: 'bing', expiresAt: 9 }],
    ['a hand-over', handingOver('work'), 9, {}, { kind: 'handingOver', term: 2, reason: 'steppedDown' }],
    [
      'a hand-over that somebody asked for',
      handingOver('work'),
      9,
      { askedBy: 'bong' },
      { kind: 'handingOver', term: 2, reason: 'steppedDown', askedBy: 'bong' },
    ],
    [
      'a hand-over whose term has run out',
      handingOver('work'),
      10,
      {},
      { kind: 'following', leader: 'bing', expiresAt: 9 },
    ],
    [
      'a release, however long it takes',
      handingOver('release'),
      10,
      {},
      { kind: 'handingOver', term: 2, reason: 'steppedDown' },
    ],
    [
      'a hand-over of a term that was never announced',
      handingOver('work', false),
      1,
      {},
      { kind: 'following', leader: 'bing', expiresAt: 9 },
    ],
    ['a process that leaves', leaving('work'), 1, {}, { kind: 'following', leader: 'bing', expiresAt: 9 }],
  ])('%s', (_, phase, now, more, picture) => {
    const { kind } = phase;
    const condition = kind === 'idle' || kind === 'stopped' ? {} : { watch: 'open' };
    expect(
      pictureOf(lifeIn(phase), { now: mono(now), date: wall(now) }, { ...surroundings, ...more }),
    ).toStrictEqual({ ...picture, ...condition });
  });
});

describe('work may start', () => {
  it.each<[string, Phase, number, number, boolean]>([
    ['in a term', leading, 2, 9, true],
    ['in a term that is starting, for its guard', starting, 2, 9, true],
    ['not in a term that has run out', leading, 2, 10, false],
    ['not in an earlier term', leading, 1, 9, false],
    ['not in a term that is handed over', handingOver('close'), 2, 9, false],
    ['not without a term', following, 2, 9, false],
  ])('%s', (_, phase, number, now, open) => {
    expect(isOpen(lifeIn(phase), number, mono(now), wall(now))).toBe(open);
  });
});

it.each<[string, Phase, Term | undefined]>([
  ['a term that leads', leading, term],
  ['a term that waits for its work', handingOver('work'), term],
  ['no term whose release was sent', handingOver('release'), undefined],
  ['nothing without a term', following, undefined],
])('%s is renewed', (_, phase, renewed) => {
  expect(renewableTerm(lifeIn(phase))).toBe(renewed);
});

it.each<[string, Phase, boolean]>([
  ['a hand-over', handingOver('release'), true],
  ['a hand-over whose work runs', handingOver('work'), false],
  ['a process that leaves', leaving('release'), true],
  ['a process that leaves, and whose work runs', leaving('work'), false],
  ['a follower', following, false],
])('whether a release is due: %s', (_, phase, due) => {
  expect(awaitsRelease(lifeIn(phase))).toBe(due);
});

describe('an event', () => {
  const failed = new LeaderError('LEADER_GUARD_FAILED', 'broken');
  const guarded = { rules: { ...rules, isGuarded: true } };
  const closed: LifeEvent = { type: 'termClosed', term: 2 };
  const idle: LifeEvent = { type: 'workIdle' };
  const guard = (when: 'start' | 'end', number = 2, error?: LeaderError): LifeEvent => ({
    type: 'guardFinished',
    when,
    term: number,
    error,
  });
  const drains = [mono(20)];

  it.each<[string, Phase, LifeEvent, Partial<Life>, string[], Phase | Phase['kind']]>([
    [
      'the term is closed',
      handingOver('close'),
      closed,
      {},
      ['show handingOver', 'end steppedDown'],
      handingOver('release'),
    ],
    [
      'the term is closed, unannounced',
      handingOver('close', false),
      closed,
      {},
      ['end steppedDown'],
      handingOver('release', false),
    ],
    ['the term is closed twice', handingOver('guard'), closed, guarded, [], handingOver('guard')],
    [
      'another term is closed',
      handingOver('close'),
      { type: 'termClosed', term: 1 },
      {},
      [],
      handingOver('close'),
    ],
    ['a lost term is closed', following, closed, {}, [], following],
    [
      'work has ended in a hand-over',
      handingOver('work'),
      idle,
      {},
      ['end steppedDown'],
      handingOver('release'),
    ],
    [
      'work has ended in a hand-over with a guard',
      handingOver('work'),
      idle,
      guarded,
      ['guard end'],
      handingOver('guard'),
    ],
    ['work has ended, and the process leaves', leaving('work'), idle, {}, [], leaving('release')],
    [
      'work has ended while the lease is released',
      handingOver('release'),
      idle,
      {},
      [],
      handingOver('release'),
    ],
    ['work of a lost term has ended', following, idle, { drains }, ['show following'], following],
    ['work has ended that nobody waits for', following, idle, {}, [], following],
    ['work of a lost term has ended in the next term', leading, idle, { drains }, [], leading],
    [
      'the guard has let the term start',
      starting,
      guard('start'),
      guarded,
      ['termBegan', 'show leading', 'startedLeading'],
      leading,
    ],
    [
      'the guard fails at the start',
      starting,
      guard('start', 2, failed),
      guarded,
      ['error', 'termBegan', 'show leading', 'startedLeading'],
      leading,
    ],
    ['the guard of another term has finished', starting, guard('start', 1), guarded, [], starting],
    ['the guard finishes in time for the end only', starting, guard('end'), guarded, [], starting],
    [
      'the guard finishes its start in a hand-over',
      handingOver('guard'),
      guard('start', 2, failed),
      guarded,
      [],
      handingOver('guard'),
    ],
    ['the guard finishes its start twice', leading, guard('start', 2, failed), guarded, [], leading],
    [
      'the guard has finished the end',
      handingOver('guard'),
      guard('end'),
      guarded,
      ['end steppedDown'],
      handingOver('release'),
    ],
    [
      'the guard finishes the end while work runs',
      handingOver('work'),
      guard('end'),
      guarded,
      [],
      handingOver('work'),
    ],
    [
      'the guard finishes the end of an earlier term',
      handingOver('guard'),
      guard('end', 1),
      guarded,
      [],
      handingOver('guard'),
    ],
    [
      'the guard fails at the end of a lost term',
      following,
      guard('end', 2, failed),
      guarded,
      ['error'],
      following,
    ],
    [
      'it is stopped before it has started',
      { kind: 'idle' },
      { type: 'stop' },
      {},
      ['joined', 'show following', 'awaitIdle'],
      leaving('work'),
    ],
    ['it is stopped', following, { type: 'stop' }, {}, ['awaitIdle'], leaving('work')],
  ])('%s', (_, phase, event, more, effects, next) => {
    const turn = turnOf(lifeIn(phase, more));
    onLifeEvent(turn, event);
    expect(turn.effects.map(inShort)).toEqual(effects);
    expect(turn.life.phase).toEqual(next);
  });
});

describe('a term that is lost', () => {
  const guarded = { ...rules, isGuarded: true };
  const ended = ['end deadline', 'termEnded', 'show following', 'stoppedLeading'];

  it.each<[string, Phase, number, string[]]>([
    ['calls its guard', leading, 0, [...ended, 'guard end']],
    ['calls its guard, and waits for its work', leading, 1, [...ended, 'guard end', 'draining', 'awaitIdle']],
    [
      'while it is closed, waits for its work',
      handingOver('close'),
      1,
      [...ended, 'guard end', 'draining', 'awaitIdle'],
    ],
    [
      'while it waits for its work, calls its guard, and does not wait twice',
      handingOver('work'),
      1,
      [...ended, 'guard end'],
    ],
    ['while its guard runs, does not call it twice', handingOver('guard'), 0, ended],
    ['before it was announced, ends silently', starting, 0, ['end deadline', 'guard end']],
    ['when it has already been released, has no more consequences', handingOver('release'), 1, []],
  ])('%s', (_, phase, running, effects) => {
    const turn = turnOf(lifeIn(phase, { rules: guarded }), running);
    loseTerm(turn, 'deadline');
    expect(turn.effects.map(inShort)).toEqual(effects);
  });
});

it.each<[string, Phase, string[]]>([
  ['in a term', leading, ['end stopped', 'termEnded', 'show stopped', 'stoppedLeading']],
  [
    'in a hand-over, for its reason',
    handingOver('work'),
    ['end steppedDown', 'termEnded', 'show stopped', 'stoppedLeading'],
  ],
  ['in a term that was not announced', starting, ['end stopped', 'show stopped']],
  [
    'in a release, which has ended the term',
    handingOver('release'),
    ['termEnded', 'show stopped', 'stoppedLeading'],
  ],
  ['without a term', following, []],
])('the process ends %s', (_, phase, effects) => {
  const turn = turnOf(lifeIn(phase));
  quit(turn);
  expect(turn.effects.map(inShort)).toEqual(effects);
});

it.each([
  ['later', 11, 11],
  ['no later', 9, 10],
])('a term is extended only by a validity that lasts longer: one that ends %s', (_, until, result) => {
  const turn = turnOf(lifeIn(leading));
  extendTerm(turn, { validity: { ...term.validity, until: mono(until) }, renewAfter: 3 });
  expect(renewableTerm(turn.life)?.validity.until).toBe(result);
});

describe('as time passes', () => {
  const NEVER = Infinity;
  it.each<[string, Phase, Partial<Life>, string[], number[]]>([
    [
      'a wait that has lasted drainTimeout is reported once',
      leaving('work'),
      { drains: [mono(1), mono(20)], awaitsIdle: true },
      ['error'],
      [NEVER, 20],
    ],
    ['a wait that lasts is not', leaving('work'), { drains: [mono(2)], awaitsIdle: true }, [], [2]],
    ['work that began late is awaited by a process that leaves', leaving('work'), {}, ['awaitIdle'], []],
    ['and in a hand-over', handingOver('work'), {}, ['awaitIdle'], []],
    ['but not while the guard runs', handingOver('guard'), {}, [], []],
    ['nor while the lease is released', leaving('release'), {}, [], []],
    ['and before a campaign', following, { drainUntil: mono(2) }, ['awaitIdle'], []],
    ['but no longer than drainTimeout', following, { drainUntil: mono(1) }, [], []],
    ['and not in a term', leading, { drainUntil: mono(2) }, [], []],
  ])('%s', (_, phase, more, effects, drains) => {
    const turn = turnOf(lifeIn(phase, more), 1);
    lifeDue(turn);
    expect(turn.effects.map(inShort)).toEqual(effects);
    expect(turn.life.drains).toEqual(drains);
  });

  it.each<[string, Phase, RegExp]>([
    ['in a hand-over', handingOver('work'), /keeps the lease until they end/],
    ['in the next term', leading, /campaigns again anyway: use the fencing token/],
    ['when the process leaves', leaving('work'), /stops when they have ended/],
  ])('the report says what work that does not end has for a consequence: %s', (_, phase, message) => {
    const turn = turnOf(lifeIn(phase, { drains: [mono(1)] }), 1);
    lifeDue(turn);
    const errors = turn.effects.flatMap((one) =>
      one.do === 'tell' && one.event.type === 'error' ? [one.event.error] : [],
    );
    expect(errors.map((error) => error.message)).toEqual([expect.stringMatching(message)]);
  });
});
