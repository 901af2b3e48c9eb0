import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import {
  InvalidOptionsError,
  LeaseElector,
  Spread,
  defaultIdentity,
  type Elector,
  type ProofOfDeath,
} from '../election/internal.js';
import { AttendedElector } from './attended-elector.js';
import type { LeaderService } from './leader.service.js';

/** The elections of one application. They have one identity, and are spread over the replicas together. */
@Injectable()
export class ElectionGroup implements OnApplicationShutdown {
  /** The identity of this process in every election whose options contain none. */
  readonly identity = defaultIdentity();
  readonly #spread = new Spread();
  /** The election that labels the pod with each key. */
  readonly #labelledBy = new Map<string, string>();
  /** The election that is kept in each Lease. */
  readonly #keptBy = new Map<string, string>();
  #proofOfDeath: ProofOfDeath | undefined;

  /**
   * Refuses a Lease for a second election: with the same identity, one election would follow the other for ever.
   *
   * @param place the cluster and the namespace.
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` when another election has one of these Leases.
   */
  keepIn(election: string, place: string, leaseNames: readonly string[]): void {
    const keys = new Map(leaseNames.map((leaseName) => [JSON.stringify([place, leaseName]), leaseName]));
    claim(this.#keptBy, election, keys, (leaseName, other) => {
      return (
        `the election '${other}' uses the Lease '${leaseName}', too: give each a leaseName of its own, or import one election and ` +
        `use it in both places`
      );
    });
  }

  /**
   * Refuses a label key for a second election: both label the same pod, so one would remove the label of the other.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` when another election has one of these keys.
   */
  labelPod(election: string, labels: Readonly<Record<string, string>>): void {
    const keys = new Map(Object.keys(labels).map((key) => [key, key]));
    claim(this.#labelledBy, election, keys, (key, other) => {
      return (
        `leaderPodLabels has the key '${key}', as that of the election '${other}' has: both label the one pod of this process, ` +
        `so each needs a key of its own`
      );
    });
  }

  /** Learns of the death of holders for all elections: what this process knows of itself is read once. */
  proofOfDeath(make: () => ProofOfDeath): ProofOfDeath {
    return (this.#proofOfDeath ??= make());
  }

  /** Adds an election that is spread over the replicas. Ignores an elector that does not ask others for a lease. */
  share(elector: Elector, leader: LeaderService): void {
    if (!(elector instanceof LeaseElector || elector instanceof AttendedElector)) return;
    this.#spread.add(elector);
    for (const type of ['newLeader', 'startedLeading', 'stoppedLeading'] as const) {
      leader.on(type, () => {
        this.#spread.consider();
      });
    }
  }

  onApplicationShutdown(): void {
    this.#spread.close();
  }
}

/** Gives `keys` to an election. Two elections with one name are reported elsewhere. */
function claim(
  claimed: Map<string, string>,
  election: string,
  keys: ReadonlyMap<string, string>,
  violation: (shown: string, other: string) => string,
): void {
  const violations = [...keys].flatMap(([key, shown]) => {
    const other = claimed.get(key);
    return other === undefined || other === election ? [] : [violation(shown, other)];
  });
  if (violations.length > 0)
    throw new InvalidOptionsError(violations, `The options of the election '${election}'`);
  for (const key of keys.keys()) claimed.set(key, election);
}
