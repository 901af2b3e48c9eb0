/** Faults to plant in the coordinated election, each with the guarantee that the fleets must find broken. */
import type { Mutant } from '../../simulation/mutants.js';
import type { CoordinatedFault } from './coordinated-fleet.js';

const LOCK = 'kubernetes/coordinated/coordinated-lock.js';
const ELECTOR = 'kubernetes/coordinated/coordinated-elector.js';

export interface CoordinatedMutant extends Pick<Mutant, 'what' | 'breaks' | 'changes'> {
  /** The faults of the fleets. Default: all kinds. */
  readonly faults?: readonly CoordinatedFault[];
}

/** Leaders are cut off, and others that have missed renewals are chosen. */
const OVERTHROWS: readonly CoordinatedFault[] = ['overthrown', 'overthrown', 'steppedDown'];

export const coordinatedMutants: readonly CoordinatedMutant[] = [
  {
    what: 'renewals are never taken for missed',
    breaks: 'G1',
    faults: OVERTHROWS,
    changes: [[LOCK, 'before.record.renewTime === heldAt &&', 'true &&']],
  },
  {
    what: 'a holder leaves no note with its renewals',
    breaks: 'G1',
    faults: OVERTHROWS,
    changes: [
      [
        LOCK,
        'const annotations = { ...object.metadata.annotations, ...noteOf(record) };',
        'const { annotations } = object.metadata;',
      ],
    ],
  },
  {
    what: 'a chosen process always waits for a whole lease',
    breaks: 'G6',
    changes: [
      [LOCK, 'if (isTheSame || (this.#isNewer(lease) && missedNothing(before, lease)))', 'if (isTheSame)'],
    ],
  },
  {
    what: 'a leader does not see that another is preferred',
    breaks: 'G6',
    changes: [[LOCK, "preferred === '' || preferred === identity ? 'chosen' : 'outvoted'", "'chosen'"]],
  },
  {
    what: 'a lease is released before the candidate is withdrawn',
    breaks: 'G6',
    changes: [[LOCK, 'await this.#withdraw(call);', 'void this.#withdraw(call);']],
  },
  {
    what: 'a candidate claims a lease that the API server did not give to it',
    breaks: 'G6',
    changes: [[ELECTOR, 'this.#coordination.elects === false || this.#mayHold', 'true || this.#mayHold']],
  },
  {
    what: 'a lease for which another is preferred is left to its fate',
    breaks: 'G7',
    changes: [[ELECTOR, "(place === 'outvoted' && !this.#elector.hasTerm);", 'false;']],
  },
  {
    what: 'a candidate stands while it hands over',
    breaks: 'G6',
    changes: [
      [ELECTOR, "|| (place === 'outvoted' && this.#elector.hasTerm))", '|| false)'],
      [ELECTOR, "kind === 'following' || kind === 'leading'", 'true'],
    ],
  },
  {
    what: 'a candidate stands while it cools down',
    breaks: 'G6',
    changes: [[ELECTOR, 'this.#elector.campaignAt - this.#clock.now()', '0']],
  },
  {
    what: 'a process does not stand again after it has cooled down',
    breaks: 'G6',
    changes: [
      [
        ELECTOR,
        'this.#cancelStanding = this.#clock.setTimer(waitMs, () => {',
        'this.#cancelStanding = this.#clock.setTimer(1e9, () => {',
      ],
    ],
  },
];
