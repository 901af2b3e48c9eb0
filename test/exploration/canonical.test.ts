/**
 * States with one canonical form behave alike. Without that an exploration would leave out schedules. The fleets here are small enough to
 * keep a world for each form.
 */
import { isDeepStrictEqual } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { canonical } from '../../lib/testing/exploration/canonical.js';
import { stepsFrom } from '../../lib/testing/exploration/moves.js';
import { newWorld, type Scope, type World } from '../../lib/testing/exploration/world.js';

const timing = {
  leaseDuration: 4000,
  renewDeadline: 3000,
  retryPeriod: 1000,
  renewInterval: 1000,
  drainTimeout: 2000,
};

const scopes: readonly { what: string; scope: Scope; states: number }[] = [
  {
    what: 'two electors, prompt replies, two faults',
    scope: { electors: 2, faults: 2, replies: 'prompt', tickMs: [1000, 1000], timing },
    states: 6_000,
  },
  {
    what: 'two electors, replies in any order, a fault, clocks as far apart as tolerated',
    scope: { electors: 2, faults: 1, replies: 'anyOrder', tickMs: [750, 1000], timing },
    states: 6_000,
  },
  {
    what: 'three electors, prompt replies, a fault',
    scope: { electors: 3, faults: 1, replies: 'prompt', tickMs: [1000, 1000, 1000], timing },
    states: 4_000,
  },
];

/** Two different worlds with one form. */
type Pair = readonly [World, World];

/** One in so many merged worlds is compared. */
const EVERY = 3;

/** The worlds of a breadth-first exploration that have the form of an earlier one. */
function merged(scope: Scope, states: number): Pair[] {
  const first = newWorld(scope);
  const known = new Map([[canonical(first, scope), first]]);
  const pairs: Pair[] = [];
  let count = 0;
  for (const world of known.values()) {
    if (known.size >= states) break;
    for (const { world: after } of stepsFrom(world, scope)) {
      const form = `${String(after.faults)} ${canonical(after, scope)}`;
      const other = known.get(form);
      if (other === undefined) known.set(form, after);
      else if (!isDeepStrictEqual({ ...other, last: 0 }, { ...after, last: 0 })) {
        if (count % EVERY === 0) pairs.push([other, after]);
        count += 1;
      }
    }
  }
  return pairs;
}

/** What can happen next: the forms that follow, and what they break. */
function following(world: World, scope: Scope): string[] {
  // Faults that are tried only after a step of their process are tried for each process.
  const steps = world.processes.flatMap((_, last) => stepsFrom({ ...world, last }, scope));
  return [
    ...new Set(
      steps.map(
        ({ move, mishap, world: after }) =>
          `${move.do} ${String(mishap?.fate)} ${String(mishap?.request)} ${String(after.broken?.guarantee)} ${String(after.faults)} ${canonical(after, scope)}`,
      ),
    ),
  ].sort();
}

it.each(scopes)('states that merge go on alike: $what', ({ scope, states }) => {
  const pairs = merged(scope, states);
  console.log(`${String(pairs.length)} pairs of different states with one form`);
  expect(pairs.length).toBeGreaterThan(100);
  for (const [one, other] of pairs) {
    const [here, there] = [following(one, scope), following(other, scope)];
    if (isDeepStrictEqual(here, there)) continue;
    expect(here.filter((form) => !there.includes(form))).toEqual(
      there.filter((form) => !here.includes(form)),
    );
  }
});

/** Errors are values in an election, and their stacks take time. */
beforeAll(() => {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  return () => {
    Error.stackTraceLimit = stackTraceLimit;
  };
});
