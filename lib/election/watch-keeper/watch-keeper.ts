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

/** The source of a watch: a `LeaseLock`, or anything that reports one object in the same way. */
export interface Watched {
  watch?(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void>;
}

/** The callbacks of a {@link WatchKeeper}. */
export interface WatchListener {
  onEvent(event: Exclude<WatchEvent, { kind: 'opened' }>): void;
  onStateChange(state: WatchState): void;
  /** Called with the error that ended the watch, unless it has the same code as the last one. `isDenied`: the permission is missing. */
  onError(problem: LeaseRequestError, isDenied: boolean): void;
}

/** Keeps a watch on one object, as an election does: reopens it when it ends, and when it fails to show an expected event. */
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

  /** Replaces the open stream by a new one. */
  renew(): void {
    this.#become(watchRenewed(this.#watch, this.#clock.now()));
  }

  /** Reports a sighting from a reply, which the watch must show, too: see `watchExpected`. */
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
    // The listener may have stopped the watch.
    if (this.#watch === watch && isAnother) void this.#open(watch.stream);
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
    // The listener may have stopped the watch.
    if (this.#watch !== ended) return;
    this.#become(watchEnded(this.#watch, problem, this.#clock.now(), this.#clock.random()));
  }
}
