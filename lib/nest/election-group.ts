import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Spread, defaultIdentity, type SpreadElection } from '../election/index.js';
import type { LeaderService } from './leader.service.js';

/** The elections of one application: they go by one name, and are shared out together. */
@Injectable()
export class ElectionGroup implements OnApplicationShutdown {
  /** The name of this process in every election that is given none. */
  readonly identity = defaultIdentity();
  readonly #spread = new Spread();

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
