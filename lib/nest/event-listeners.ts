import type { Disposer, ElectionEvent } from '../election/index.js';

/** The events of one type. */
export type ElectionEventOf<T extends ElectionEvent['type']> = Extract<ElectionEvent, { type: T }>;

type Listener = (event: ElectionEvent) => unknown;

/** The listeners of an election's events. */
export class EventListeners {
  readonly #listeners = new Map<ElectionEvent['type'], Set<Listener>>();
  readonly #onRejection: (event: ElectionEvent, cause: unknown) => void;

  /** @param onRejection called when an async listener rejects, which is later than the event. */
  constructor(onRejection: (event: ElectionEvent, cause: unknown) => void) {
    this.#onRejection = onRejection;
  }

  add<T extends ElectionEvent['type']>(type: T, listener: (event: ElectionEventOf<T>) => unknown): Disposer {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners);
    const call = listener as Listener;
    // A new object, so that a function that is added twice is called twice.
    const entry: Listener = (event) => call(event);
    listeners.add(entry);
    return () => {
      listeners.delete(entry);
    };
  }

  /** Calls every listener. @throws when all have been called, what one of them threw, or an error with all that was thrown. */
  tell(event: ElectionEvent): void {
    const failures: unknown[] = [];
    for (const listener of [...(this.#listeners.get(event.type) ?? [])]) {
      try {
        const told = listener(event);
        if (!(told instanceof Promise)) continue;
        told.catch((cause: unknown) => {
          this.#onRejection(event, cause);
        });
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, 'Several listeners threw.');
  }
}
