/** Has the explorer look for faults that are planted in the election, and in its model of the API server. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { mutants, type Mutant } from '../simulation/mutants.js';
import { plant } from '../simulation/plant.js';
import { exploreScope } from './run.js';

/** A fault in the code, and the guarantee that a schedule breaks first. */
interface Planted extends Pick<Mutant, 'what' | 'changes'> {
  readonly shows: Mutant['breaks'];
  /** How many faults of the fleet show it. */
  readonly faults: number;
}

/** @param what of mutants.ts. Its `breaks` is what a seed shows; the shortest schedule may show something else before. */
function ofMutants(what: string, shows: Mutant['breaks'], faults = 1): Planted {
  const mutant = mutants.find((each) => each.what === what);
  if (mutant === undefined) throw new Error(`test/simulation/mutants.ts has no fault '${what}'.`);
  return { ...mutant, shows, faults };
}

export const planted: readonly Planted[] = [
  {
    what: 'validity is stamped after the reply',
    shows: 'G1',
    faults: 1,
    changes: [
      [
        'election/machine.js',
        'validityOf(attempt.sentAt, attempt.sentOn, config.options.renewDeadline)',
        'validityOf(now, date, config.options.renewDeadline)',
      ],
    ],
  },
  {
    what: 'a write is not conditional on the version that was seen',
    shows: 'G1',
    faults: 1,
    changes: [['testing/exploration/moves.js', ' || lease.resourceVersion !== base.resourceVersion', '']],
  },
  ofMutants('a term does not check the clock', 'G4'),
  ofMutants('a release overwrites any record', 'G1', 2),
  ofMutants("the record's duration is not respected", 'G1'),
  ofMutants('the timer does not move with sightings', 'G1'),
  ofMutants('a deletion frees the lease at once', 'G1'),
  ofMutants('a watch event is trusted: an empty holder is leadership', 'G1'),
  {
    what: 'a term that has run out goes on if the reply to a renewal is the next thing that its process sees',
    shows: 'G4',
    faults: 1,
    changes: [
      [
        'election/machine.js',
        'if (hasRunOut(state.life, event.at))\n        runOut(turn);\n    onEvent(turn, event);',
        'onEvent(turn, event);\n    if (hasRunOut(turn.life, event.at))\n        runOut(turn);',
      ],
    ],
  },
  ofMutants('the token is the number of transitions', 'G3'),
  ofMutants('the lease is released before the work has ended', 'G5', 2),
  ofMutants('a process campaigns while work of its last term runs', 'G5', 2),
  ofMutants('a renewal of a lost term begins a term when it is seen', 'G5', 2),
  ofMutants('an election does not wake up when its next decision is due', 'G6'),
  ofMutants('a follower relies only on its watch', 'G7'),
  {
    what: 'a read that finds no Lease is repeated as long as the clock stands still',
    shows: 'G7',
    faults: 2,
    changes: [['election/sight.js', '!(isNews || sight.doubtful)', '!isNews']],
  },
];

const SCOPE = ['--electors', '2', '--replies', 'prompt'];

/** Defines a test for each planted fault: a schedule shows it, and is told. */
export function theExplorerFinds(all: readonly Planted[], directory: string): void {
  describe('planted faults', () => {
    const lines: string[] = [];
    afterAll(() => {
      console.log(`planted fault | breaks | moves of the shortest schedule | states\n${lines.join('\n')}`);
    });

    it.each(all.map((fault, index) => ({ ...fault, index })))(
      '$shows: $what',
      ({ what, changes, shows, faults, index }) => {
        const copy = plant({ what, changes }, join(directory, String(index)));
        const { story, states } = exploreScope([...SCOPE, '--faults', String(faults), '--package', copy]);
        rmSync(copy, { recursive: true });
        lines.push(`${what} | ${shows} | ${String(story?.moves)} | ${String(states)}`);
        expect(story?.guarantee).toBe(shows);
      },
    );
  });
}
