import type { ActiveTerm } from './active-term.js';
import type { TermEndReason } from './term.js';

/** What an elector on a lease is doing: one of these, with what it needs and nothing else. */
export type Phase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'following' }
  /** The lease is held, and a guard is waited for before the term is told of: to others still a follower. */
  | { readonly kind: 'starting'; readonly term: ActiveTerm; readonly waiting: AbortController }
  | { readonly kind: 'leading'; readonly term: ActiveTerm }
  | HandingOver
  /** Told to stop, and without a term: work of the last one, or a write, is still under way. */
  | { readonly kind: 'leaving' }
  | { readonly kind: 'stopped' };

/** The lease is to be given up. */
export interface HandingOver {
  readonly kind: 'handingOver';
  readonly term: ActiveTerm;
  readonly reason: TermEndReason;
  readonly cooldown: number;
  /** Its beginning was told, and so must be its end. */
  readonly told: boolean;
  /** First the work and then the guard, with the lease renewed; then the release, with nothing else sent. */
  readonly awaiting: 'work' | 'guard' | 'release';
}

/** The term of a phase that has one. */
export function termOf(phase: Phase): ActiveTerm | undefined {
  return 'term' in phase ? phase.term : undefined;
}

/** Whether others know of the term. */
export function isTold(phase: Phase): boolean {
  return phase.kind === 'leading' || (phase.kind === 'handingOver' && phase.told);
}
