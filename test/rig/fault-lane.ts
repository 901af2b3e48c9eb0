/** One direction of a connection of the fault proxy: it keeps what came in, in order, until it may pass. */
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';

/** A piece of the stream, its end, or its reset. */
type Item = Buffer | 'end' | 'reset';

interface Waiting {
  readonly item: Item;
  dueAt: number;
}

/** More than any test needs. Beyond this, the sender must wait. */
const MOST_WAITING = 1_000;

/** What a lane does with incoming data. `silent` lasts for ever. */
export type LaneState = 'flowing' | 'held' | 'silent';

export class FaultLane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #onArrival: () => void;
  #state: LaneState;
  #delayMs: number;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(
    from: Socket,
    to: Socket,
    start: { readonly state: LaneState; readonly delayMs: number; readonly onArrival: () => void },
  ) {
    this.#from = from;
    this.#to = to;
    this.#state = start.state;
    this.#delayMs = start.delayMs;
    this.#onArrival = start.onArrival;
    from.on('data', (chunk: Buffer) => {
      this.#take(chunk);
    });
    from.on('end', () => {
      this.#take('end');
    });
    // The 'close' event reports the error, too.
    from.on('error', () => undefined);
    from.on('close', (hadError: boolean) => {
      if (hadError) this.#take('reset');
    });
    to.on('close', () => {
      this.#waiting = [];
    });
  }

  /** Changes the state. Waiting items pass if the delay becomes shorter, and are dropped by `silent`. */
  set(state: LaneState, delayMs: number): void {
    if (this.#state === 'silent') return;
    if (delayMs < this.#delayMs) for (const waiting of this.#waiting) waiting.dueAt = 0;
    this.#state = state;
    this.#delayMs = delayMs;
    if (state === 'silent') this.#waiting = [];
    this.#pass();
  }

  #take(item: Item): void {
    if (this.#state === 'silent') return;
    this.#waiting.push({ item, dueAt: performance.now() + this.#delayMs });
    if (this.#waiting.length > MOST_WAITING) this.#from.pause();
    this.#pass();
    if (item instanceof Buffer) this.#onArrival();
  }

  /** Passes items in order: an item waits for earlier items that are not due. */
  #pass(): void {
    clearTimeout(this.#timer);
    if (this.#state !== 'flowing') return;
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined) break;
      const leftMs = next.dueAt - performance.now();
      if (leftMs > 0) {
        this.#timer = setTimeout(() => {
          this.#pass();
        }, leftMs);
        return;
      }
      this.#waiting.shift();
      this.#give(next.item);
    }
    this.#from.resume();
  }

  #give(item: Item): void {
    if (this.#to.destroyed) return;
    if (item === 'end') this.#to.end();
    else if (item === 'reset') this.#to.resetAndDestroy();
    else this.#to.write(item);
  }
}
