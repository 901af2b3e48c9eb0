/**
 * Any run can be recorded and replayed: from the initial state, the same events give the same effects. So everything that affects an
 * election is in its state and events, without hidden time, randomness or memory; and no step changes an earlier state.
 */
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { ElectionTrace } from '../../lib/election/index.js';
import type { MonotonicMs } from '../../lib/election/clock.js';
import { newElection, step, type Election } from '../../lib/election/machine.js';
import { storyTeller } from '../../lib/election/story/story.js';
import { simulate } from '../../lib/testing/simulation/index.js';

const SEEDS = 60;

type Event = Parameters<ElectionTrace>[0];
type Effects = Parameters<ElectionTrace>[1];

/** The events and effects of one election, and its state after the last step. */
interface Run {
  readonly steps: { readonly event: Event; readonly effects: Effects; readonly wakeAt: MonotonicMs }[];
  last: Election | undefined;
}

/** Freezes `value` deeply, except objects in `seen`. */
function freeze(value: unknown, seen: WeakSet<object>): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  Object.freeze(value);
  for (const part of Object.values(value)) freeze(part, seen);
}

/** The first step that differs when it is replayed, as a story; undefined if none does. */
function differenceIn({ steps, last }: Run): string | undefined {
  if (last === undefined) return undefined;
  const seen = new WeakSet();
  let state = newElection(last.config);
  freeze(state, seen);
  for (const { event, effects, wakeAt } of steps) {
    const recorded = (): string => story(event, effects, { ...last, wakeAt });
    freeze(event, seen);
    try {
      const replayed = step(state, event);
      freeze(replayed, seen);
      if (!isDeepStrictEqual(replayed.effects, effects) || replayed.state.wakeAt !== wakeAt)
        return `${recorded()}\nreplayed:\n${story(event, replayed.effects, replayed.state)}`;
      state = replayed.state;
    } catch (error) {
      return `${recorded()}\n${String(error)}`;
    }
  }
  return isDeepStrictEqual(state, last) ? undefined : 'The state after the last step differs.';
}

function story(...step: Parameters<ElectionTrace>): string {
  const lines: string[] = [];
  storyTeller((line) => lines.push(line))(...step);
  return lines.join('\n');
}

describe('a run', () => {
  it(`is replayed step by step, in each process of ${String(SEEDS)} simulated fleets`, async () => {
    let recorded = new Map<string, Run>();
    const differences: string[] = [];
    const kinds = new Set<string>();
    let steps = 0;
    await simulate({
      from: 500_001,
      seeds: SEEDS,
      traceOf: (name) => {
        const run: Run = { steps: [], last: undefined };
        recorded.set(name, run);
        return (event, effects, state) => {
          run.steps.push({ event, effects, wakeAt: state.wakeAt });
          run.last = state;
        };
      },
      onSeed: ({ seed }) => {
        for (const [name, run] of recorded) {
          const difference = differenceIn(run);
          if (difference !== undefined) differences.push(`seed ${String(seed)}, ${name}:\n${difference}`);
          steps += run.steps.length;
          for (const { event } of run.steps) kinds.add(event.type);
        }
        recorded = new Map();
      },
    });
    expect(differences).toEqual([]);
    expect(steps).toBeGreaterThan(SEEDS * 1_000);
    expect([...kinds].toSorted()).toEqual([
      'asked', 'candidacyChanged', 'exit', 'guardFinished', 'holderGone', 'looked', 'readReplied', 'start', 'stepDown', 'stop', 'termClosed', 'timePassed',
      'watchEnded', 'watchOpened', 'watchShowed', 'workIdle', 'writeReplied',
    ]); // prettier-ignore
    // A bound in case it hangs.
  }, 600_000);
});
