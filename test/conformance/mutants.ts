/** Faults to plant in the election, one or more for each rule of ARCHITECTURE.md. The checker must find each, and name that rule. */
import { mutants, type Mutant } from '../simulation/mutants.js';
import type { RuleNumber } from './transitions.js';

/** A fault that breaks a rule. */
export interface RuleBreaker extends Pick<Mutant, 'what' | 'changes' | 'strikes'> {
  readonly rule: RuleNumber;
}

/** A fault that the simulation looks for, too. */
function known(rule: RuleNumber, what: string): RuleBreaker {
  const mutant = mutants.find((one) => one.what === what);
  if (mutant === undefined) throw new Error(`mutants.ts has no fault '${what}'.`);
  return { ...mutant, rule };
}

export const ruleBreakers: readonly RuleBreaker[] = [
  known(1, 'validity is stamped after the reply'),
  known(1, "the record's duration is not respected"),
  known(1, 'the timer does not move with sightings'),
  known(2, 'a term does not check the clock'),
  known(2, 'nothing checks the clock until there is another event'),
  known(3, 'a deletion frees the lease at once'),
  known(3, 'a deleted Lease of ours is assumed to have had no other holder'),
  {
    rule: 3,
    what: 'a claim is not conditional on what was seen last',
    changes: [
      [
        'election/decide.js',
        "{ do: 'create' } : { do: 'takeOver', base: observation.snapshot };",
        "{ do: 'create' } : { do: 'takeOver', base: { ...observation.snapshot, resourceVersion: '1' } };",
      ],
    ],
  },
  known(4, 'a write that failed is repeated at once'),
  {
    rule: 4,
    what: 'a request may take all of the validity that is left',
    changes: [
      [
        'election/pacing.js',
        'Math.max(leftMs / 2, SHORTEST_PATIENCE_MS)',
        'Math.max(leftMs, SHORTEST_PATIENCE_MS)',
      ],
    ],
  },
  known(5, 'a watch event is trusted: an empty holder is leadership'),
  known(5, 'a renewal of a lost term begins a term when it is seen'),
  known(6, 'a touch of the record ends the term'),
  {
    rule: 6,
    what: 'a term goes on although another holds the lease',
    changes: [['election/decide.js', "'released' : 'superseded'", "'released' : undefined"]],
  },
  known(7, 'a record with our own name counts as our own record'),
  known(8, 'a process campaigns while work of its last term runs'),
  known(8, 'a process that has stepped down claims the lease again at once'),
  {
    rule: 9,
    what: 'a released lease is claimed at once that another process has asked for',
    changes: [['election/decide.js', 'const COURTESY_MS = 250;', 'const COURTESY_MS = 0;']],
  },
  known(10, 'a release overwrites any record'),
  known(10, 'the lease is released before the work has ended'),
  {
    rule: 11,
    what: 'a release keeps the duration of the record',
    changes: [
      ['election/lease.js', "holderIdentity: '',\n        leaseDurationSeconds: 1,", "holderIdentity: '',"],
    ],
  },
  {
    rule: 11,
    what: 'a take-over counts no transition',
    changes: [['election/lease.js', '(acquiredBefore === undefined ? 1 : 0)', '0']],
  },
  known(12, 'the token is the number of transitions'),
  known(13, 'a proof of death counts for the next holder, too'),
  known(13, 'a claim keeps what the holder before wrote about its process'),
];
