import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { InvalidOptionsError, Spread, defaultIdentity, type SpreadElection } from '../election/index.js';
import type { LeaderService } from './leader.service.js';

/** The elections of one application: they go by one name, and are shared out together. */
@Injectable()
export class ElectionGroup implements OnApplicationShutdown {
  /** The name of this process in every election that is given none. */
  readonly identity = defaultIdentity();
  readonly #spread = new Spread();
  /** Which election labels the pod with a key. */
  readonly #labelledBy = new Map<string, string>();
  /** Which election is kept in a Lease. */
  readonly #keptBy = new Map<string, string>();

  /**
   * One process cannot hold a Lease twice: of two elections on it one would follow the other for ever, under its own name.
   *
   * @param place of which cluster and namespace.
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` when another election has one of these Leases.
   */
  keepIn(election: string, place: string, leaseNames: readonly string[]): void {
    const keyOf = (leaseName: string): string => JSON.stringify([place, leaseName]);
    const violations = leaseNames.flatMap((leaseName) => {
      const other = this.#keptBy.get(keyOf(leaseName));
      // That two have one name is told of by others.
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
   * They label one pod: what one election puts on, another would take off when it ends its own term, and nobody put it back.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` when another election has one of these keys.
   */
  labelPod(election: string, labels: Readonly<Record<string, string>>): void {
    const violations = Object.keys(labels).flatMap((key) => {
      const other = this.#labelledBy.get(key);
      // That two have one name is told of by others.
      if (other === undefined || other === election) return [];
      return [
        `leaderPodLabels has the key '${key}', as that of the election '${other}' has: both label the one pod of this ` +
          `process, and must have a key each`,
      ];
    });
    if (violations.length > 0) throw new InvalidOptionsError(violations, optionsOf(election));
    for (const key of Object.keys(labels)) this.#labelledBy.set(key, election);
  }

  /** Counts an election in that is to be shared out over the replicas. */
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
