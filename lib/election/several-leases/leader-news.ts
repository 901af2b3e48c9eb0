import type { ElectionEvent, ElectorState } from '../elector.js';

/** Reports each change of the leader once. */
export class LeaderNews {
  readonly #tell: (event: ElectionEvent) => void;
  #last = '';

  constructor(tell: (event: ElectionEvent) => void) {
    this.#tell = tell;
  }

  /** @param leader the identity of the present leader; `''` if there is none. */
  tell(leader: string): void {
    if (leader === this.#last) return;
    this.#last = leader;
    this.#tell({ type: 'newLeader', identity: leader });
  }
}

/** The leader as last seen by the process named `identity`; `''` if there is none. */
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
