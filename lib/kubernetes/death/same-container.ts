import {
  SystemClock,
  isEarlierInstance,
  processOf,
  textOf,
  type Clock,
  type Disposer,
  type HolderProcess,
  type ProofOfDeath,
  type SignOfLife,
} from '../../election/internal.js';
import { hasEnded } from './sign-of-life.js';

/** After how long to ask the kernel again: a process may need a moment to end after its container has ended for the kubelet. */
const AGAIN_MS = 1_000;

/**
 * Proves a holder dead that was an earlier instance of the container in which this process runs (ARCHITECTURE.md, rule 13). The
 * kubelet means to run no two instances of one container, but may lose sight of one; so the kernel must say that it has ended.
 */
export class SameContainer implements ProofOfDeath {
  readonly self: string | undefined;
  readonly #own: HolderProcess | undefined;
  readonly #clock: Clock;
  readonly #hasEnded: (sign: SignOfLife) => Promise<boolean>;

  /** @param own undefined if this process is not certain of its pod and container: then nothing is noted, and nothing proven. */
  constructor(own: HolderProcess | undefined, clock: Clock = new SystemClock(), ended = hasEnded) {
    this.#own = own;
    this.#clock = clock;
    this.#hasEnded = ended;
    this.self = own && textOf(own);
  }

  follow(process: string, gone: () => void): Disposer {
    const holder = processOf(process);
    const own = this.#own;
    if (holder?.sign === undefined || own === undefined || !isEarlierInstance(holder, own))
      return () => undefined;
    const { sign } = holder;
    let isFollowed = true;
    let disarm: Disposer = () => undefined;
    const ask = async (): Promise<void> => {
      const isOver = await this.#hasEnded(sign);
      if (!isFollowed) return;
      if (isOver) gone();
      else
        disarm = this.#clock.setTimer(AGAIN_MS, () => {
          void ask();
        });
    };
    void ask();
    return () => {
      isFollowed = false;
      disarm();
    };
  }
}
