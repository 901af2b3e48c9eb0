import type { ElectionCondition, ElectorState } from './elector.js';
import type { Phase } from './phase.js';

/** What a phase does not know of itself. */
export interface Surroundings extends ElectionCondition {
  /** The holder as last seen. */
  readonly leader: string;
  readonly expiresAt: (ElectorState & { kind: 'following' })['expiresAt'];
  /** How many pieces of work run. */
  readonly running: number;
}

/** The public picture of a phase. */
export function describePhase(phase: Phase, surroundings: Surroundings): ElectorState {
  const { leader, expiresAt, running: stillRunning, ...condition } = surroundings;
  const how = { ...condition, error: condition.problems?.[0] };
  switch (phase.kind) {
    case 'idle':
    case 'stopped':
      return phase;
    case 'leading':
      return { kind: 'leading', term: phase.term, ...how };
    case 'handingOver':
      if (!phase.told) break;
      return { kind: 'handingOver', term: phase.term, reason: phase.reason, stillRunning, ...how };
    case 'starting':
    case 'following':
    case 'leaving':
      break;
  }
  return { kind: 'following', leader, expiresAt, stillRunning, ...how };
}
