import type { LeadershipTerm } from '../../election/index.js';
import { TESTED_BULLMQ } from './job-processor.js';
import {
  hasWaitingConnection,
  isConnected,
  waitingConnection,
  type Connection,
} from './waiting-connection.js';

/** What we need of a worker. */
export interface Worker {
  run(): Promise<void>;
  resume(): unknown;
  pause(doNotWaitActive?: boolean): Promise<void>;
  isRunning(): boolean;
  isPaused(): boolean;
  emit(event: 'error', error: unknown): boolean;
}

/**
 * A worker that fetches jobs in terms only.
 *
 * `pause()` stops fetching before it returns, breaks off the fetch that is waiting for a job, and resolves when the jobs
 * that run have ended. A job that was just being fetched all the same meets the gate, which puts it back.
 *
 * While Redis cannot be reached there is no fetch to break off, and to try would lose the connection for good: ioredis that
 * is disconnected while it waits to reconnect neither ends nor reconnects, and `pause()` waits for either (seen with bullmq
 * 5.81 and 6.7).
 */
export class LedWorker {
  readonly #worker: Worker;
  readonly #warn: (line: string) => void;
  /** On which the worker waits for jobs. */
  #connection: Connection | undefined;
  /** That which was waited for last. */
  #awaitedLoop: Promise<unknown> | undefined;
  /** Until the last pause is complete: a worker that is resumed before goes on without its stalled check. */
  #paused: Promise<unknown> = Promise.resolve();

  constructor(worker: Worker, warn: (line: string) => void) {
    this.#worker = worker;
    this.#warn = warn;
  }

  /** Fetches jobs from now until the term's signal fires. */
  lead(term: LeadershipTerm): void {
    const onOver = (): void => {
      this.#pause();
    };
    term.signal.addEventListener('abort', onOver, { once: true });
    void this.#paused.then(() => {
      this.#start(term);
    });
  }

  #start(term: LeadershipTerm): void {
    if (term.isOver) return;
    const worker = this.#worker;
    void waitingConnection(worker).then((connection) => {
      this.#connection = connection;
    });
    // One that found its queue empty in an earlier term would wait for a sign of a new job, up to ten seconds, and jobs
    // that came or went back meanwhile may have given theirs to another worker. So it looks first.
    (worker as { drained?: boolean }).drained = false;
    if (worker.isPaused()) {
      worker.resume();
      if (worker.isPaused()) this.#startAfterLoop(term);
    } else if (!worker.isRunning()) {
      // As a worker does that runs by itself.
      worker.run().catch((error: unknown) => worker.emit('error', error));
    }
  }

  /**
   * One that was paused at once may still be on its way out of its loop; bullmq 5.55 resumes none that is (5.81 does), and it
   * would be paused for the whole term.
   */
  #startAfterLoop(term: LeadershipTerm): void {
    const { mainLoopRunning } = this.#worker as { readonly mainLoopRunning?: Promise<unknown> };
    if (mainLoopRunning === undefined || mainLoopRunning === this.#awaitedLoop) return;
    this.#awaitedLoop = mainLoopRunning;
    const start = (): void => {
      this.#start(term);
    };
    mainLoopRunning.then(start, start);
  }

  #pause(): void {
    const atOnce = !isConnected(this.#connection);
    const pausing = this.#worker.pause(atOnce).catch((error: unknown) => {
      // The application closes it meanwhile, and its connection with it.
      if ((this.#worker as { readonly closing?: unknown }).closing !== undefined) return;
      // It fetches nothing all the same; whatever broke, its connection say, is mended when it runs again.
      this.#warn(
        `A BullMQ worker, paused because its term ended, fetches no jobs but reports: ${String(error)}`,
      );
    });
    this.#paused = Promise.all([this.#paused, pausing]);
  }
}

/** What to say of a worker that lacks what bullmq keeps to itself and we use; undefined if nothing is missing. */
export function unknownShape(worker: object): string | undefined {
  const missing = [
    ...['drained', 'mainLoopRunning'].filter((field) => !(field in worker)),
    ...(hasWaitingConnection(worker) ? [] : ['the connection on which it waits for jobs']),
  ];
  if (missing.length === 0) return undefined;
  return (
    `A BullMQ worker lacks fields that it has in the versions that were tested (bullmq ${TESTED_BULLMQ}): ${missing.join(', ')}. It ` +
    `still fetches jobs in terms only, but may be late to fetch when a term starts, and may not run again after an outage ` +
    `of Redis. Install a version that was tested.`
  );
}
