import type { Clock, Disposer } from '../clock.js';
import { asRequestError, isLeaderError, type LeaseRequestError } from '../errors.js';
import type { WatchEvent } from '../lease.js';
import {
  newWatch,
  watchDue,
  watchDueAt,
  watchEnded,
  watchExpected,
  watchOpened,
  watchRenewed,
  watchShowed,
  watchStarted,
  watchStopped,
  type Watch,
  type WatchState,
} from '../watch.js';

/** What is watched: a `LeaseLock`, or whatever else reports one object in the same way. */
export interface Watched {
  watch?(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void>;
}

/** Whom the keeper tells. */
export interface WatchListener {
  onEvent(event: Exclude<WatchEvent, { kind: 'opened' }>): void;
  onStateChange(state: WatchState): void;
  /** Why a watch ended, but not again what was said last. `isDenied`: there is no permission to watch. */
  onError(problem: LeaseRequestError, isDenied: boolean): void;
}

/** Keeps a watch on one object, as an election keeps its own: opens it again when it ends, and when it owes an event. */
export class WatchKeeper {
  readonly #watched: Watched;
  readonly #clock: Clock;
  readonly #listener: WatchListener;
  #watch: Watch;
  #stream: AbortController | undefined;
  #disarm: Disposer = () => undefined;

  constructor(watched: Watched, clock: Clock, retryPeriod: number, listener: WatchListener) {
    this.#watched = watched;
    this.#clock = clock;
    this.#listener = listener;
    this.#watch = newWatch(retryPeriod);
  }

  get state(): WatchState {
    return this.#watch.state;
  }

  start(): void {
    this.#become(watchStarted(this.#watch, this.#watched.watch !== undefined, this.#clock.now()));
  }

  stop(): void {
    this.#become(watchStopped(this.#watch));
  }

  /** Opens another stream in place of the one that is open. */
  renew(): void {
    this.#become(watchRenewed(this.#watch, this.#clock.now()));
  }

  /** See `watchExpected`. */
  expect(version: string | undefined, isOverdue = false): void {
    this.#become(watchExpected(this.#watch, version, isOverdue, this.#clock.now()));
  }

  #become(watch: Watch): void {
    const before = this.#watch;
    this.#watch = watch;
    const isAnother = watch.stream !== before.stream;
    if (before.isStreaming && (isAnother || !watch.isStreaming)) this.#stream?.abort();
    this.#disarm();
    const dueAt = watchDueAt(watch);
    this.#disarm =
      dueAt === Number.POSITIVE_INFINITY
        ? () => undefined
        : this.#clock.setTimer(dueAt - this.#clock.now(), () => {
            this.#become(watchDue(this.#watch, this.#clock.now(), this.#clock.random()));
          });
    if (watch.state !== before.state) this.#listener.onStateChange(watch.state);
    // The listener may have stopped it.
    if (this.#watch === watch && watch.isStreaming && isAnother) void this.#open(watch.stream);
  }

  async #open(stream: number): Promise<void> {
    const controller = new AbortController();
    this.#stream = controller;
    const isCurrent = (): boolean => this.#watch.stream === stream && this.#watch.isStreaming;
    let thrown: unknown;
    try {
      await this.#watched.watch?.((event) => {
        if (isCurrent()) this.#on(event);
      }, controller.signal);
    } catch (error) {
      thrown = error;
    }
    if (isCurrent()) this.#onEnd(thrown === undefined ? undefined : asRequestError(thrown));
  }

  #on(event: WatchEvent): void {
    const now = this.#clock.now();
    if (event.kind === 'opened') {
      this.#become(watchOpened(this.#watch, now));
      return;
    }
    this.#become(watchShowed(this.#watch, event, now));
    this.#listener.onEvent(event);
  }

  #onEnd(problem: LeaseRequestError | undefined): void {
    const isNews = problem !== undefined && problem.code !== this.#watch.reported;
    const ended = this.#watch;
    if (isNews) this.#listener.onError(problem, isLeaderError(problem, 'LEADER_FORBIDDEN'));
    // The listener may have stopped it.
    if (this.#watch !== ended) return;
    this.#become(watchEnded(this.#watch, problem, this.#clock.now(), this.#clock.random()));
  }
}
