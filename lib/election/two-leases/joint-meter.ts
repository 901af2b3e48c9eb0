import type { ElectionMeter, Takeover } from '../meter.js';

/** The worst take-over first; `none` is better than all of them. */
const BY_TROUBLE: readonly Takeover[] = ['unclean', 'dead', 'clean', 'own'];

/**
 * Forwards the facts of an election in two Leases. Facts about renewals and watches go to the meter of their Lease. Facts about
 * terms, draining and errors concern the whole election, and go to the meter of `options.leaseName`.
 */
export class JointMeter {
  readonly #whole: ElectionMeter;
  readonly #found: { first?: Takeover; second?: Takeover } = {};

  constructor(whole: ElectionMeter) {
    this.#whole = whole;
  }

  /** The worse of the two take-overs with which the present term began. */
  get takeover(): Takeover {
    const { first, second } = this.#found;
    return BY_TROUBLE.find((takeover) => takeover === first || takeover === second) ?? 'none';
  }

  /** The meter for the elector of one Lease. */
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
          // Both wait for the same work, and the second has a term whenever there is work.
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
