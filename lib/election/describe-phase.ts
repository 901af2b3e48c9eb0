import type { ElectorState } from './elector.js';
import type { LeaderError } from './errors.js';
import type { Phase } from './phase.js';

/** What a phase does not know of itself. */
export interface Surroundings {
  /** The holder as last seen. */
  readonly leader: string;
  readonly expiresAt: (ElectorState & { kind: 'following' })['expiresAt'];
  readonly error: LeaderError | undefined;
  /** How many pieces of work run. */
  readonly running: number;
}

/** The public picture of a phase. */
export function describePhase(phase: Phase, surroundings: Surroundings): ElectorState {
  const { leader, expiresAt, error, running: stillRunning } = surroundings;
  switch (phase.kind) {
    case 'idle':
    case 'stopped':
      return phase;
    case 'leading':
      return { kind: 'leading', term: phase.term, error };
    case 'handingOver':
      if (!phase.told) break;
      return { kind: 'handingOver', term: phase.term, reason: phase.reason, stillRunning };
    case 'starting':
    case 'following':
    case 'leaving':
      break;
  }
  return { kind: 'following', leader, expiresAt, error, stillRunning };
}
