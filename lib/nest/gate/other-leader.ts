import { readable } from '../../election/index.js';
import type { LeaderService } from '../leader.service.js';

/** The identity of another leader, as last seen, in readable form; `''` if this process has just lost its lease or is handing over. */
export function otherLeader(leader: Pick<LeaderService, 'identity' | 'getLeader'>): string {
  const identity = leader.getLeader();
  return identity === leader.identity ? '' : readable(identity);
}

/** The leader to name to a client; undefined with `exposeLeader: false`. */
export function leaderToTell(leader: LeaderService): string | undefined {
  return leader.exposesLeader ? otherLeader(leader) : undefined;
}

/**
 * For how many milliseconds the leader that was seen keeps the lease, even if it has died: this process cannot lead before. 0 if the
 * lease may be free.
 */
export function keepsLeaseForMs({ state, clock }: LeaderService): number {
  if (state.kind !== 'following' || state.expiresAt === undefined) return 0;
  return Math.max(state.expiresAt - clock.now(), 0);
}
