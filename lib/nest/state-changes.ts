import type { Disposer, ElectionEvent, ElectorState } from '../election/index.js';

/** An object with a state that emits events when the state may have changed. */
export interface Changing {
  readonly state: ElectorState;
  on(type: ElectionEvent['type'], listener: () => void): Disposer;
}

const CHANGES = ['stateChanged', 'newLeader', 'error'] as const;

/** Yields the present state, and then each new state; a reader that is slower than the changes gets only the newest. */
export async function* stateChanges(
  election: Changing,
  signal: AbortSignal | undefined,
): AsyncGenerator<ElectorState, void> {
  let changed = true;
  let wake: () => void = () => undefined;
  const note = (): void => {
    changed = true;
    wake();
  };
  const disposers = CHANGES.map((type) => election.on(type, note));
  signal?.addEventListener('abort', note);
  try {
    while (signal?.aborted !== true) {
      if (!changed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      changed = false;
      const { state } = election;
      yield state;
      if (state.kind === 'stopped') return;
    }
  } finally {
    for (const dispose of disposers) dispose();
    signal?.removeEventListener('abort', note);
  }
}
