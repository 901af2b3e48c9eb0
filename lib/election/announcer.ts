import type { ElectionEvent, ElectionObserver } from './elector.js';
import { LeaderError } from './errors.js';

/**
 * Tells events one after the other, in the order they came about, even if listening to one brings about another. A
 * listener that throws is told of, once, and disturbs nobody.
 */
export class Announcer {
  readonly #observer: ElectionObserver;
  readonly #untold: ElectionEvent[] = [];
  #telling = false;

  constructor(observer: ElectionObserver) {
    this.#observer = observer;
  }

  tell(...events: ElectionEvent[]): void {
    this.#untold.push(...events);
    if (this.#telling) return;
    this.#telling = true;
    for (let event = this.#untold.shift(); event !== undefined; event = this.#untold.shift())
      this.#tell(event);
    this.#telling = false;
  }

  #tell(event: ElectionEvent): void {
    try {
      this.#observer(event);
    } catch (cause) {
      // The listener of errors is broken itself: there is nobody left to tell.
      if (event.type === 'error' && event.error.code === 'LEADER_LISTENER_FAILED') return;
      const message = `A listener of the election event '${event.type}' threw. The election goes on.`;
      this.#untold.push({
        type: 'error',
        error: new LeaderError('LEADER_LISTENER_FAILED', message, { cause }),
      });
    }
  }
}
