/** Every step of every process in simulated fleets, and in the stories, is one that the rules of ARCHITECTURE.md allow. */
import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { stepRecorder } from '../../lib/election/index.js';
import { simulate } from '../../lib/testing/simulation/index.js';
import { played } from '../election/story-language.js';
import { Follower, addUses, checkFleets, textOf } from './fleet-traces.js';
import { checked, replayed } from './replay.js';
import { RULES, TRANSITIONS, type Transition } from './transitions.js';

const SEEDS = 60;
/** A transition that is used less often is not tested enough. */
const LEAST = 3;
/** Fleets have no guards, and no process that takes a record of its own name; the others are rare in them. Stories have each. */
const RARE: readonly Transition[] = [
  'the guard is asked as a term begins',
  'the guard is asked as a term ends',
  'a record of its name is claimed',
  'a released lease is claimed that the process that asked for it has left',
  'a process that stops releases what is still its own',
];
const STORIES = 'test/election/testdata';

const used = new Map<Transition, number>();
let steps = 0;

describe('the rules explain every step', () => {
  it.each([
    ['with the default options', 600_001, SEEDS, {}],
    ['with lockDelay', 610_001, 6, { lockDelay: 3_000 }],
    ['with fast timing', 620_001, 6, { leaseDuration: 6_000, renewDeadline: 4_000, retryPeriod: 1_000 }],
  ])(
    'of simulated fleets %s',
    async (_, from, seeds, election) => {
      const findings = await checkFleets(simulate, { from, seeds, election });
      expect(textOf(findings)).toBe('');
      steps += findings.steps;
      addUses(used, findings.used);
    },
    // A bound in case it hangs. It takes some seconds on an idle machine.
    600_000,
  );

  it.each(readdirSync(STORIES).filter((name) => name.endsWith('.txt')))('of the story %s', (name) => {
    const follower = new Follower();
    played(readFileSync(`${STORIES}/${name}`, 'utf8'), follower.trace);
    expect(follower.unexplained?.message).toBeUndefined();
    expect(follower.steps).toBeGreaterThan(0);
    steps += follower.steps;
    addUses(used, follower.checker?.used);
  });

  it('and every transition that the rules allow is used', () => {
    const rare = (Object.keys(TRANSITIONS) as Transition[]).filter(
      (transition) => (used.get(transition) ?? 0) < (RARE.includes(transition) ? 1 : LEAST),
    );
    expect(rare).toEqual([]);
    const rules = new Set(Object.values(TRANSITIONS));
    // These rules have no transition of their own, but conditions on others: on each claim, on each record, on each token.
    const others = Object.keys(RULES).filter((rule) => !rules.has(Number(rule) as never));
    expect(others).toEqual(['8', '11', '12']);
  });

  afterAll(() => {
    const lines = [...used]
      .toSorted(([, a], [, b]) => a - b)
      .map(([transition, times]) => `${String(times)} × ${transition}`);
    console.log(`${String(steps)} steps, ${String(used.size)} transitions\n${lines.join('\n')}`);
  });
});

it('a recording of each process of simulated fleets is replayed, and the rules explain it', async () => {
  let recordings = new Map<string, string[]>();
  let replayedSteps = 0;
  await simulate({
    from: 630_001,
    seeds: 6,
    traceOf: (name) => {
      const lines: string[] = [];
      recordings.set(name, lines);
      return stepRecorder((line) => lines.push(line));
    },
    onSeed: () => {
      for (const lines of recordings.values()) {
        const replay = replayed(lines);
        checked(replay);
        replayedSteps += replay.steps.length;
      }
      recordings = new Map();
    },
  });
  expect(replayedSteps).toBeGreaterThan(3_000);
}, 600_000);
