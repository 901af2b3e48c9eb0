import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { InvalidOptionsError, Spread, defaultIdentity, type SpreadElection } from '../election/index.js';
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

  /**
   * Refuses a Lease for a second election: one election would follow the other for ever, under the same identity.
   *
   * @param place the cluster and the namespace.
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` when another election has one of these Leases.
   */
  keepIn(election: string, place: string, leaseNames: readonly string[]): void {
    const keyOf = (leaseName: string): string => JSON.stringify([place, leaseName]);
    const violations = leaseNames.flatMap((leaseName) => {
      const other = this.#keptBy.get(keyOf(leaseName));
      // Two elections with one name are reported elsewhere.
      if (other === undefined || other === election) return [];
      return [
        `the Lease '${leaseName}' is that of the election '${other}', too: give each a leaseName of its own, or ` +
          `import one election and use it in both places`,
      ];
    });
    if (violations.length > 0) throw new InvalidOptionsError(violations, optionsOf(election));
    for (const leaseName of leaseNames) this.#keptBy.set(keyOf(leaseName), election);
  }

  /**
   * Refuses a label key for a second election: both label the same pod, so one would remove the label of the other.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` when another election has one of these keys.
   */
  labelPod(election: string, labels: Readonly<Record<string, string>>): void {
    const violations = Object.keys(labels).flatMap((key) => {
      const other = this.#labelledBy.get(key);
      // Two elections with one name are reported elsewhere.
      if (other === undefined || other === election) return [];
      return [
        `leaderPodLabels has the key '${key}', as that of the election '${other}' has: both label the one pod of this ` +
          `process, and must have a key each`,
      ];
    });
    if (violations.length > 0) throw new InvalidOptionsError(violations, optionsOf(election));
    for (const key of Object.keys(labels)) this.#labelledBy.set(key, election);
  }

  /** Adds an election that is spread over the replicas. */
  share(election: SpreadElection, leader: LeaderService): void {
    this.#spread.add(election);
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

function optionsOf(election: string): string {
  return `The options of the election '${election}'`;
}
