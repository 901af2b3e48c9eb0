/**
 * Keeps a watch on the lease: opens it again when it ends, restarts it when it owes an event. A watch is an early
 * wake-up and nothing more; the elector stays right, if slower, when every event is late, wrong or missing.
 */
import { LONG_AGO, after, type Clock, type Disposer } from './clock.js';
import { LeaderError, isLeaderError, type LeaderErrorCode } from './errors.js';
import { isNewer, type LeaseLock, type WatchEvent } from './lease-lock.js';
import { asRequestError } from './lease-requests.js';

/** Whether events can be expected. */
export type WatchState = 'connecting' | 'open' | 'denied' | 'unsupported' | 'closed';

/** Whom the watcher tells. */
export interface WatchListener {
  onEvent(event: Exclude<WatchEvent, { kind: 'opened' }>): void;
  onStateChange(state: WatchState): void;
  onError(error: LeaderError): void;
}

/** How many retry periods to leave a watch alone that was denied: permissions change rarely. */
const DENIED_RETRY_PERIODS = 30;

/** How many retry periods to wait for a watch to open: it has no end of its own. */
const OPENING_RETRY_PERIODS = 5;

/** See the head of the file. */
export class LeaseWatcher {
  readonly #lock: LeaseLock;
  readonly #clock: Clock;
  readonly #retryPeriod: number;
  readonly #listener: WatchListener;
  #state: WatchState = 'closed';
  #stream: AbortController | undefined;
  #cancelReopen: Disposer = () => undefined;
  /** The newest version the watch has told of. */
  #toldVersion = '0';
  /** One it has not, and for how long to wait for that. */
  #owed: { readonly version: string; readonly forgive: Disposer } | undefined;
  #toldProblem: LeaderErrorCode | undefined;
  #openedAt = LONG_AGO;

  constructor(lock: LeaseLock, clock: Clock, retryPeriod: number, listener: WatchListener) {
    this.#lock = lock;
    this.#clock = clock;
    this.#retryPeriod = retryPeriod;
    this.#listener = listener;
  }

  get state(): WatchState {
    return this.#state;
  }

  start(): void {
    if (this.#lock.watch === undefined) this.#become('unsupported');
    else void this.#watch();
  }

  stop(): void {
    this.#cancelReopen();
    this.#forgive();
    this.#become('closed');
    this.#stream?.abort();
    this.#stream = undefined;
  }

  /** The lease was seen at `version` through another channel: within `retryPeriod` the watch must tell of it, too. */
  expect(version: string): void {
    if (this.#state !== 'open' || this.#owed !== undefined || !isNewer(version, this.#toldVersion)) return;
    const forgive = this.#clock.setTimer(this.#retryPeriod, () => {
      this.#owed = undefined;
      // Half-open: it lives on for the socket only. When the stream has ended, another is opened.
      this.#stream?.abort();
    });
    this.#owed = { version, forgive };
  }

  async #watch(): Promise<void> {
    const stream = new AbortController();
    this.#stream = stream;
    this.#become('connecting');
    const giveUp = this.#clock.setTimer(OPENING_RETRY_PERIODS * this.#retryPeriod, () => {
      if (this.#state === 'connecting') stream.abort();
    });
    let problem: unknown;
    try {
      await this.#lock.watch?.((event) => {
        if (this.#stream === stream) this.#onEvent(event);
      }, stream.signal);
    } catch (error) {
      problem = error;
    }
    giveUp();
    if (this.#stream === stream) this.#onEnd(problem);
  }

  #onEvent(event: WatchEvent): void {
    if (event.kind === 'opened') {
      this.#openedAt = this.#clock.now();
      this.#toldProblem = undefined;
      this.#become('open');
      return;
    }
    const version = event.kind === 'seen' ? event.snapshot.resourceVersion : event.resourceVersion;
    if (isNewer(version, this.#toldVersion)) this.#toldVersion = version;
    if (this.#owed !== undefined && !isNewer(this.#owed.version, this.#toldVersion)) this.#forgive();
    this.#listener.onEvent(event);
  }

  #onEnd(problem: unknown): void {
    const wasOpen = this.#state === 'open' && this.#clock.now() >= after(this.#openedAt, this.#retryPeriod);
    this.#stream = undefined;
    this.#forgive();
    const denied = isLeaderError(problem, 'LEADER_FORBIDDEN');
    if (problem !== undefined)
      this.#tell(denied ? watchDenied(this.#lock, problem) : asRequestError(problem));
    this.#become(denied ? 'denied' : 'connecting');
    // An end in the normal course, after some time, is mended at once, anything else after a pause.
    const pause = wasOpen && problem === undefined ? 0 : this.#retryPeriod * (1 + this.#clock.random() / 2);
    this.#cancelReopen = this.#clock.setTimer(denied ? pause * DENIED_RETRY_PERIODS : pause, () => {
      void this.#watch();
    });
  }

  #forgive(): void {
    this.#owed?.forgive();
    this.#owed = undefined;
  }

  /** Says what is wrong with the watch, but not again what was said last. */
  #tell(problem: LeaderError): void {
    if (this.#toldProblem === problem.code) return;
    this.#toldProblem = problem.code;
    this.#listener.onError(problem);
  }

  #become(state: WatchState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#listener.onStateChange(state);
  }
}

function watchDenied(lock: LeaseLock, cause: LeaderError): LeaderError {
  const message =
    `Watching the lease ${lock.describe()} is not permitted, so it is polled every retryPeriod: a hand-over takes ` +
    `that much longer. ${cause.message}`;
  return new LeaderError('LEADER_WATCH_DENIED', message, { cause });
}
