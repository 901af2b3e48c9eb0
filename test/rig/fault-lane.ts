/** One direction of one connection of the fault proxy: what came in, in order, until it may go on. */
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';

/** A piece of the stream, its orderly end, or its abrupt one. */
type Item = Buffer | 'end' | 'reset';

interface Waiting {
  readonly item: Item;
  dueAt: number;
}

/** More than a test ever lets wait; a sender that goes on and on is made to wait itself. */
const MOST_WAITING = 1_000;

/** What a lane does with what comes in. `silent` is for ever. */
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
    // Told of by 'close', too.
    from.on('error', () => undefined);
    from.on('close', (hadError: boolean) => {
      if (hadError) this.#take('reset');
    });
    to.on('close', () => {
      this.#waiting = [];
    });
  }

  /** From now on; what waits already waits no longer, or stays, or is lost. */
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

  /** In order: what is due waits for what came before it and is not. */
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
