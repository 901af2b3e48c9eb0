/**
 * The figures of an election in two Leases. Renewals and watches are told to each Lease's own meter; terms, what is drained
 * and errors are of the whole, and told to that of the Lease which names it.
 */
import type { ElectionMeter, Takeover } from '../meter.js';

/** The most trouble first. */
const BY_TROUBLE: readonly Takeover[] = ['unclean', 'elected', 'clean', 'own', 'none'];

/** See the head of the file. */
export class JointMeter {
  readonly #whole: ElectionMeter;
  #found: { first: Takeover; second: Takeover } = { first: 'none', second: 'none' };

  constructor(whole: ElectionMeter) {
    this.#whole = whole;
  }

  /** How the present term found its Leases: as the worse of the two was. */
  get takeover(): Takeover {
    const { first, second } = this.#found;
    return BY_TROUBLE.find((takeover) => takeover === first || takeover === second) ?? 'none';
  }

  /** What the elector of one Lease is given. */
  of(place: 'first' | 'second', lease: ElectionMeter | undefined): ElectionMeter {
    return (fact) => {
      switch (fact.type) {
        case 'renewal':
        case 'slowPath':
        case 'watch':
          lease?.(fact);
          return;
        case 'termBegan':
          this.#found[place] = fact.takeover;
          return;
        case 'draining':
          // Both wait for the same work, and the second has a term whenever there is any.
          if (place === 'second') this.#whole(fact);
          return;
        case 'joined':
        case 'termEnded':
        case 'failed':
        case 'call':
          return;
      }
    };
  }
}
