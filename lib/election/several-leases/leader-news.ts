import type { ElectionEvent, ElectorState } from '../elector.js';

/** Tells observers who leads: once each time it is somebody else, or nobody any more. */
export class LeaderNews {
  readonly #tell: (event: ElectionEvent) => void;
  #last = '';

  constructor(tell: (event: ElectionEvent) => void) {
    this.#tell = tell;
  }

  /** @param leader the identity of the process that leads now; `''` for nobody. */
  tell(leader: string): void {
    if (leader === this.#last) return;
    this.#last = leader;
    this.#tell({ type: 'newLeader', identity: leader });
  }
}

/** Who leads, as the process named `identity` last saw it; `''` for nobody. */
export function leaderIn(state: ElectorState, identity: string): string {
  switch (state.kind) {
    case 'leading':
    case 'handingOver':
      return identity;
    case 'following':
      return state.leader;
    case 'idle':
    case 'stopped':
      return '';
  }
}
