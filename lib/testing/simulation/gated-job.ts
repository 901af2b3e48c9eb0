import { isLeaderError, type Disposer, type LeadershipTerm } from '../../election/internal.js';
import type { SimulatedClock } from '../simulated-clock.js';
import type { SimulatedTime } from '../simulated-time.js';
import type { EventLoop } from './event-loop.js';
import type { Store } from './stores.js';

/** What a job works with. */
export interface JobSurroundings {
  readonly time: SimulatedTime;
  readonly clock: SimulatedClock;
  readonly loop: EventLoop;
  readonly stores: readonly Store[];
  readonly ended: (job: GatedJob) => void;
}

const LONGEST_MS = 40_000;
const LONGEST_THOUGHT_MS = 3_000;
const LONGEST_WRITE_MS = 10_000;

/**
 * Gated work of random length in a simulated process. It reacts to its signal at once, late, or never. Meanwhile it
 * reads and writes stores, over a network that may delay a write.
 */
export class GatedJob {
  readonly term: LeadershipTerm;
  readonly #surroundings: JobSurroundings;
  readonly #row: number;
  readonly #leave: Disposer;
  readonly #obeys: boolean;
  readonly #cancelEnd: Disposer;
  readonly #stopListening: Disposer;
  #running = true;

  /** @throws TermOverError when the term is over. */
  constructor(term: LeadershipTerm, row: number, surroundings: JobSurroundings) {
    const { clock, time } = surroundings;
    const { chance } = time;
    this.term = term;
    this.#surroundings = surroundings;
    this.#row = row;
    this.#leave = term.enter();
    this.#obeys = chance.happens(0.7);
    const lateByMs = chance.happens(0.5) ? 0 : chance.skewed(LONGEST_MS);
    const end = (): void => {
      this.end();
    };
    this.#cancelEnd = clock.setTimer(chance.skewed(LONGEST_MS), end);
    const told = (): void => {
      clock.setTimer(lateByMs, end);
    };
    if (this.#obeys) term.signal.addEventListener('abort', told);
    this.#stopListening = () => {
      term.signal.removeEventListener('abort', told);
    };
    this.#thinkAgain();
  }

  /** Ends the job, if it still runs. */
  end(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#cancelEnd();
    this.#stopListening();
    this.#surroundings.ended(this);
    // A hand-over that has waited for this job may be over when this returns.
    this.#leave();
  }

  #thinkAgain(): void {
    const { clock, time } = this.#surroundings;
    clock.setTimer(time.chance.skewed(LONGEST_THOUGHT_MS) + 1, () => {
      if (!this.#running) return;
      if (this.#obeys && this.#finds()) this.end();
      else this.#readAndWrite();
    });
  }

  /** Whether the term is over, asked as users do. */
  #finds(): boolean {
    try {
      this.term.throwIfOver();
      return false;
    } catch (error) {
      if (isLeaderError(error, 'LEADER_TERM_OVER')) return true;
      throw error;
    }
  }

  #readAndWrite(): void {
    const { clock, loop, stores, time } = this.#surroundings;
    const { chance } = time;
    const writeTakesMs = chance.skewed(LONGEST_WRITE_MS);
    const readings = stores.map((store) => ({
      store,
      reading: store.read(this.#row, this.term.fencingToken),
    }));
    clock.setTimer(chance.skewed(LONGEST_THOUGHT_MS), () => {
      // A write in flight arrives even if its sender has died.
      time.schedule(writeTakesMs, () => {
        const accepted = readings.map(({ store, reading }) => reading !== undefined && store.write(reading));
        loop.deliver(() => {
          if (accepted.every(Boolean)) this.#thinkAgain();
          else this.end();
        });
      });
    });
  }
}
