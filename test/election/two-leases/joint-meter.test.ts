/** The facts of an election in two Leases. */
import { expect, it } from 'vitest';
import type { ElectionFact, LeadershipTerm, Takeover } from '../../../lib/election/index.js';
import { JointMeter } from '../../../lib/election/two-leases/joint-meter.js';

const began = (takeover: Takeover): ElectionFact => ({
  type: 'termBegan',
  term: {} as LeadershipTerm,
  takeover,
});

it.each<[Takeover, Takeover, Takeover]>([
  ['none', 'none', 'none'],
  ['own', 'none', 'own'],
  ['own', 'clean', 'clean'],
  ['dead', 'clean', 'dead'],
  ['dead', 'unclean', 'unclean'],
])('of two take-overs, %s and %s, it tells the worse: %s', (one, other, told) => {
  for (const [first, second] of [
    [one, other],
    [other, one],
  ] as const) {
    const meter = new JointMeter(() => undefined);
    expect(meter.takeover).toBe('none');
    meter.of('first', undefined)(began(first));
    meter.of('second', undefined)(began(second));
    expect(meter.takeover).toBe(told);
  }
});

it('tells each Lease its renewals and watches, and the whole what concerns both, once', () => {
  const told: Record<string, string[]> = { whole: [], first: [], second: [] };
  const noteAs =
    (whose: string) =>
    (fact: ElectionFact): void =>
      void told[whose]?.push(fact.type);
  const meter = new JointMeter(noteAs('whole'));
  const facts: ElectionFact[] = [
    { type: 'joined' },
    began('none'),
    { type: 'renewal', outcome: 'renewed', latencyMs: 1 },
    { type: 'slowPath' },
    { type: 'watch', isOpen: true },
    { type: 'failed', code: 'LEADER_UNREACHABLE' },
  ];
  for (const place of ['first', 'second'] as const)
    for (const fact of facts) meter.of(place, noteAs(place))(fact);
  // A Lease may have no meter.
  meter.of('first', undefined)({ type: 'slowPath' });
  meter.of('second', undefined)({ type: 'draining', pieces: 1 });
  expect(told['whole']).toEqual(['draining']);
  meter.of('first', undefined)({ type: 'draining', pieces: 1 });
  expect(told).toEqual({
    whole: ['draining'],
    first: ['renewal', 'slowPath', 'watch'],
    second: ['renewal', 'slowPath', 'watch'],
  });
});
