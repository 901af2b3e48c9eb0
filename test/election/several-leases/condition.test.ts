/** The condition of an election that is kept in several Leases. */
import { expect, it } from 'vitest';
import { LeaderError, type ElectorState, type WatchState } from '../../../lib/election/index.js';
import { campaignsIn, conditionOf } from '../../../lib/election/several-leases/condition.js';

const [one, other] = ['one', 'other'].map((name) => new LeaderError('LEADER_UNREACHABLE', name));

function following(watch?: WatchState, problems?: (LeaderError | undefined)[]): ElectorState {
  const present = problems?.filter((problem) => problem !== undefined);
  return {
    kind: 'following',
    leader: '',
    expiresAt: undefined,
    error: present?.[0],
    stillRunning: 0,
    ...(watch && { watch }),
    ...(present && { problems: present }),
  };
}

it.each<[WatchState, WatchState, WatchState]>([
  ['open', 'open', 'open'],
  ['closed', 'open', 'closed'],
  ['connecting', 'closed', 'connecting'],
  ['unsupported', 'connecting', 'unsupported'],
  ['denied', 'unsupported', 'denied'],
])('of two watches, %s and %s, the worse one is shown: %s', (first, second, shown) => {
  const states = [following(first), following(second)];
  expect(conditionOf(states).watch).toBe(shown);
  expect(conditionOf(states.reverse()).watch).toBe(shown);
});

it('the problems of all are shown, in the order of the Leases', () => {
  expect(conditionOf([following('open', [one]), following('open', [other])])).toEqual({
    problems: [one, other],
    error: one,
    watch: 'open',
  });
});

it('a Lease whose election has not started, has ended or tells nothing adds nothing', () => {
  const silent: ElectorState[] = [{ kind: 'idle' }, { kind: 'stopped' }, following()];
  expect(conditionOf([...silent, following('closed', [one])])).toEqual({
    problems: [one],
    error: one,
    watch: 'closed',
  });
  expect(Object.keys(conditionOf(silent))).toEqual(['problems', 'error']);
});

it.each([
  ['of no Lease', [], {}],
  ['of candidates only', [{}, {}], {}],
  [
    'of a candidacy that stands for no Lease',
    [{ campaigns: false }, { campaigns: false }],
    { campaigns: false },
  ],
  ['of one Lease that says so', [{}, { campaigns: false }], { campaigns: false }],
] as const)('the states %s tell whether the process campaigns', (_, states, told) => {
  expect(campaignsIn(states)).toEqual(told);
});
