/** What a caller that is refused is told of whoever leads. */
import { readable } from '../../election/index.js';
import type { LeaderService } from '../leader.service.js';

/** Who else leads, as last seen, in a form that people can read. A process that has just lost its lease, or is handing over, names nobody. */
export function otherLeader(leader: Pick<LeaderService, 'identity' | 'getLeader'>): string {
  const identity = leader.getLeader();
  return identity === leader.identity ? '' : readable(identity);
}

/**
 * For how many milliseconds whoever was seen to lead keeps the lease even if it has died: this process cannot lead before.
 * 0 when nobody must be waited for.
 */
export function keepsLeaseForMs({ state, clock }: LeaderService): number {
  if (state.kind !== 'following' || state.expiresAt === undefined) return 0;
  return Math.max(state.expiresAt - clock.now(), 0);
}
