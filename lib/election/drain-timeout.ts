import { LeaderError } from './errors.js';
import type { ResolvedElectionOptions } from './options.js';
import type { Phase } from './phase.js';

/** The phase of the elector when the time is up. */
type During = Phase['kind'];

/** Work that still runs `drainTimeout` after it was told to stop, and what that means in the phase that it has come to. */
export function drainTimeout(
  options: Pick<ResolvedElectionOptions, 'leaseName' | 'drainTimeout'>,
  running: number,
  during: During,
): LeaderError {
  return new LeaderError(
    'LEADER_DRAIN_TIMEOUT',
    `${String(running)} gated call(s) on '${options.leaseName}' still run ${String(options.drainTimeout)} ms after ` +
      `they were told to stop (drainTimeout). ${consequence(during)}Let them watch currentTerm().signal, or call ` +
      `currentTerm().throwIfOver() between steps.`,
  );
}

function consequence(during: During): string {
  switch (during) {
    case 'handingOver':
      return 'This process holds the lease, and keeps it until they end. ';
    // It may lead again already.
    case 'following':
    case 'starting':
    case 'leading':
      return 'Their term is lost, and this process campaigns again all the same: refuse what they write by its fencing token. ';
    case 'leaving':
      return 'Their term is lost, and this process stops when they have ended. ';
    case 'idle':
    case 'stopped':
      return '';
  }
}
