import { Chance } from '../chance.js';

/** What the processes of some fleets use besides a plain election. A report counts fleets by these names. */
export const featureKinds = [
  'guard',
  'onLostExit',
  'reclaimOwnLease',
  'lockDelay',
  'priority',
  'slots',
  'twoLeases',
  'termLimit',
  'spread',
  'proofOfDeath',
  'ownDurations',
  'severalElections',
] as const;

/** Something that a fleet uses besides a plain election. */
export type FeatureKind = (typeof featureKinds)[number];

/** The features that a fleet has by lot. The others are there as soon as one replica has them. */
type DrawnKind = Exclude<
  FeatureKind,
  'slots' | 'twoLeases' | 'termLimit' | 'spread' | 'proofOfDeath' | 'severalElections'
>;

/** How many fleets have each. */
const SHARES: Readonly<Record<Exclude<DrawnKind, 'ownDurations'>, number>> = {
  guard: 0.2,
  onLostExit: 0.15,
  reclaimOwnLease: 0.15,
  lockDelay: 0.2,
  priority: 0.15,
};
/** How many fleets have several leaders, and how many move to another Lease. */
const SLOTS_SHARE = 0.1;
const TWO_LEASES_SHARE = 0.1;
const MOST_SLOTS = 3;
/** In how many each replica has durations of its own, as while a rolling update changes them. */
const OWN_DURATIONS_SHARE = 0.2;
/** In how many each process takes part in several elections, which are spread over the processes. */
const SEVERAL_ELECTIONS_SHARE = 0.08;
const FEWEST_ELECTIONS = 4;
const MOST_ELECTIONS = 6;
/** Priorities are whole numbers from 0 to this. */
export const HIGHEST_PRIORITY = 3;
/** So that the numbers of the features are others than those of the run. */
const SALT = 0x5eed;

/**
 * The features of one fleet. They are drawn from the seed by numbers of their own, so that a fleet without a feature runs as if
 * there were no such feature.
 */
export class Features {
  /** How many leaders the fleet has. */
  readonly slots: number;
  readonly hasTwoLeases: boolean;
  /** In how many elections each process takes part. */
  readonly elections: number;
  /** The option of that name, if the run does not give one; milliseconds. */
  readonly lockDelay: number;
  readonly #drawn = new Set<FeatureKind>();
  readonly #seen = new Set<FeatureKind>();

  constructor(seed: number, retryPeriod: number) {
    const chance = new Chance(seed ^ SALT);
    for (const kind of Object.keys(SHARES) as (keyof typeof SHARES)[])
      if (chance.happens(SHARES[kind])) this.#drawn.add(kind);
    const lot = chance.next();
    this.slots = lot < SLOTS_SHARE ? chance.integer(2, MOST_SLOTS) : 1;
    this.hasTwoLeases = lot >= 1 - TWO_LEASES_SHARE;
    this.lockDelay = this.#drawn.has('lockDelay') ? retryPeriod * chance.between(0.5, 3) : 0;
    const isPlain = this.slots === 1 && !this.hasTwoLeases;
    this.elections =
      isPlain && chance.happens(SEVERAL_ELECTIONS_SHARE)
        ? chance.integer(FEWEST_ELECTIONS, MOST_ELECTIONS)
        : 1;
    if (chance.happens(OWN_DURATIONS_SHARE)) this.#drawn.add('ownDurations');
    // None of them can be combined with priorities.
    if (!isPlain || this.elections > 1) this.#drawn.delete('priority');
    if (this.elections > 1) this.#seen.add('severalElections');
    if (this.slots > 1) this.#seen.add('slots');
    if (this.hasTwoLeases) this.#seen.add('twoLeases');
    if (this.lockDelay > 0) this.#seen.add('lockDelay');
  }

  /** Whether replicas of this fleet may have it. */
  has(kind: DrawnKind): boolean {
    return this.#drawn.has(kind);
  }

  /** A replica has it. */
  note(kind: FeatureKind): void {
    this.#seen.add(kind);
  }

  /** All that this fleet has. */
  get seen(): ReadonlySet<FeatureKind> {
    return this.#seen;
  }
}
