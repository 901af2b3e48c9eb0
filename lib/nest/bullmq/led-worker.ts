import type { LeadershipTerm } from '../../election/index.js';
import { TESTED_BULLMQ } from './job-processor.js';
import {
  hasWaitingConnection,
  isConnected,
  waitingConnection,
  type Connection,
} from './waiting-connection.js';

/** The members of a worker that we use. */
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
 * `pause()` stops fetching before it returns, aborts a fetch that waits for a job, and resolves when the running jobs have ended. A
 * job that was being fetched at that moment gets to the gate, which puts it back.
 *
 * While Redis cannot be reached there is no fetch to abort, and to try would lose the connection for good: if ioredis is
 * disconnected while it waits to reconnect, it neither ends nor reconnects, and `pause()` waits for either (seen with bullmq 5.81
 * and 6.7).
 */
export class LedWorker {
  readonly #worker: Worker;
  readonly #warn: (line: string) => void;
  /** The connection on which the worker waits for jobs. */
  #connection: Connection | undefined;
  /** The worker's loop that was waited for last. */
  #awaitedLoop: Promise<unknown> | undefined;
  /** Resolves when the last pause is complete. A worker that is resumed before runs without its check for stalled jobs. */
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
    // A worker that found its queue empty in an earlier term waits up to ten seconds for the marker of a new job. Another worker may
    // have consumed the markers of jobs that were added or put back meanwhile. So this makes the worker fetch at once.
    (worker as { drained?: boolean }).drained = false;
    if (worker.isPaused()) {
      worker.resume();
      if (worker.isPaused()) this.#startAfterLoop(term);
    } else if (!worker.isRunning()) {
      // As in a worker with `autorun`.
      worker.run().catch((error: unknown) => worker.emit('error', error));
    }
  }

  /**
   * A worker that was paused without waiting may still be leaving its loop. bullmq 5.55 does not resume it then (5.81 does), and it
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
      // The application has closed the worker, and its connection with it.
      if ((this.#worker as { readonly closing?: unknown }).closing !== undefined) return;
      // The worker fetches nothing all the same. What failed, for example its connection, is mended when it runs again.
      this.#warn(
        `A BullMQ worker, paused because its term ended, fetches no jobs but reports: ${String(error)}`,
      );
    });
    this.#paused = Promise.all([this.#paused, pausing]);
  }
}

/** The warning for a worker that lacks private members of bullmq that we use; undefined if none is missing. */
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
