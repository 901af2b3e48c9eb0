/**
 * Keeps a watch on one object: opens it again when it ends, and when it owes an event. A watch is an early wake-up and
 * nothing more; whoever listens stays right, if slower, when every event is late, wrong or missing.
 *
 * One that was open and ends is opened again at once, but not twice in a row: one that has not lived for a `retryPeriod`
 * since gets a pause. So nothing that a server does makes it be opened more than twice a `retryPeriod`.
 */
import { after, type Clock, type Disposer, type MonotonicMs } from './clock.js';
import { isLeaderError, type LeaderErrorCode, type LeaseRequestError } from './errors.js';
import { isNewer, type WatchEvent } from './lease-lock.js';
import { asRequestError } from './lease-requests.js';

/** Whether events can be expected. */
export type WatchState = 'connecting' | 'open' | 'denied' | 'unsupported' | 'closed';

/** What is watched: a `LeaseLock`, or whatever else tells of one object in the same way. */
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

/** How many retry periods to leave a watch alone that was denied: permissions change rarely. */
const DENIED_RETRY_PERIODS = 30;

/** How many retry periods to wait for a watch to open: it has no end of its own. */
const OPENING_RETRY_PERIODS = 5;

/** How often the time for an event that is owed is doubled, at the most: to 32 retry periods. */
const LATEST = 5;

/** An event that a watch owes. */
interface Owed {
  readonly version: string;
  readonly since: MonotonicMs;
  /** It is news, and not what a watch tells first. */
  readonly isNews: boolean;
  readonly forgive: Disposer;
}

/** See the head of the file. */
export class WatchKeeper {
  readonly #watched: Watched;
  readonly #clock: Clock;
  readonly #retryPeriod: number;
  readonly #listener: WatchListener;
  #state: WatchState = 'closed';
  #stream: AbortController | undefined;
  #cancelReopen: Disposer = () => undefined;
  /** When the watch was opened; undefined while it is not. */
  #openedAt: MonotonicMs | undefined;
  /** It has told of something since: what it tells first is no news, and says nothing of how it goes on. */
  #hasTold = false;
  /** The version of which it told last as news. */
  #news = '0';
  /** The newest version that any watch has told of. */
  #toldVersion = '0';
  #owed: Owed | undefined;
  /** How many watches in a row ended without having lived. */
  #endsInARow = 0;
  /** How many watches in a row did not tell in time of what they owed. */
  #lateness = 0;
  #toldProblem: LeaderErrorCode | undefined;

  constructor(watched: Watched, clock: Clock, retryPeriod: number, listener: WatchListener) {
    this.#watched = watched;
    this.#clock = clock;
    this.#retryPeriod = retryPeriod;
    this.#listener = listener;
  }

  get state(): WatchState {
    return this.#state;
  }

  start(): void {
    if (this.#watched.watch === undefined) this.#become('unsupported');
    else void this.#watch();
  }

  stop(): void {
    this.#cancelReopen();
    this.#close();
    this.#become('closed');
  }

  /** Opens another in its place, if it is open. */
  renew(): void {
    if (this.#state !== 'open') return;
    this.#close();
    void this.#watch();
  }

  /**
   * The object was seen at `version`, or gone (undefined), through another channel: the watch must tell of that, too, within
   * `retryPeriod`, or it is opened anew. Each time that helped nothing it is given twice as long, until it keeps up again.
   *
   * @param overdue It has had its time already.
   */
  expect(version: string | undefined, overdue = false): void {
    const owed = version ?? String(BigInt(this.#toldVersion) + 1n);
    if (!isNewer(owed, this.#news)) this.#lateness = 0;
    if (this.#state !== 'open' || this.#owed !== undefined || !isNewer(owed, this.#toldVersion)) return;
    const delayMs = overdue && this.#lateness === 0 ? 0 : this.#retryPeriod * 2 ** this.#lateness;
    const forgive = this.#clock.setTimer(delayMs, () => {
      this.#lateness = Math.min(this.#lateness + 1, LATEST);
      // Half-open: it lives on for the socket only.
      this.renew();
    });
    this.#owed = { version: owed, since: this.#clock.now(), isNews: this.#hasTold, forgive };
  }

  async #watch(): Promise<void> {
    const stream = new AbortController();
    this.#stream = stream;
    this.#openedAt = undefined;
    this.#hasTold = false;
    this.#news = '0';
    this.#become('connecting');
    const giveUp = this.#clock.setTimer(OPENING_RETRY_PERIODS * this.#retryPeriod, () => {
      if (this.#openedAt !== undefined || this.#stream !== stream) return;
      this.#close();
      this.#onEnd(undefined);
    });
    let problem: unknown;
    try {
      await this.#watched.watch?.((event) => {
        if (this.#stream === stream) this.#onEvent(event);
      }, stream.signal);
    } catch (error) {
      problem = error;
    }
    giveUp();
    if (this.#stream === stream) this.#onEnd(problem === undefined ? undefined : asRequestError(problem));
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
    if (this.#owed !== undefined && !isNewer(this.#owed.version, this.#toldVersion)) this.#paid(this.#owed);
    if (this.#hasTold) this.#news = version;
    this.#hasTold = true;
    this.#listener.onEvent(event);
  }

  #paid({ since, isNews }: Owed): void {
    if (isNews && this.#clock.now() <= after(since, this.#retryPeriod)) this.#lateness = 0;
    this.#forgive();
  }

  #onEnd(problem: LeaseRequestError | undefined): void {
    const openedAt = this.#openedAt;
    const livedFor = openedAt === undefined ? 0 : this.#clock.now() - openedAt;
    this.#stream = undefined;
    this.#forgive();
    if (livedFor >= this.#retryPeriod) this.#endsInARow = 0;
    // Nothing was owed for longer than it ever waits: it keeps up.
    if (livedFor >= this.#retryPeriod * 2 ** LATEST) this.#lateness = 0;
    const isDenied = isLeaderError(problem, 'LEADER_FORBIDDEN');
    if (problem !== undefined) this.#tell(problem, isDenied);
    this.#become(isDenied ? 'denied' : 'connecting');
    const isFirst = openedAt !== undefined && this.#endsInARow === 0;
    this.#endsInARow += 1;
    this.#cancelReopen = this.#clock.setTimer(this.#pauseAfter(problem, isFirst && !isDenied), () => {
      void this.#watch();
    });
  }

  #pauseAfter(problem: LeaseRequestError | undefined, isFirst: boolean): number {
    const longest = this.#retryPeriod * DENIED_RETRY_PERIODS;
    const asked = Math.min(problem?.retryAfterMs ?? 0, longest);
    if (isFirst) return asked;
    const pause = isLeaderError(problem, 'LEADER_FORBIDDEN') ? longest : this.#retryPeriod;
    return Math.max(pause * (1 + this.#clock.random() / 2), asked);
  }

  #close(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#forgive();
    stream?.abort();
  }

  #forgive(): void {
    this.#owed?.forgive();
    this.#owed = undefined;
  }

  #tell(problem: LeaseRequestError, isDenied: boolean): void {
    if (this.#toldProblem === problem.code) return;
    this.#toldProblem = problem.code;
    this.#listener.onError(problem, isDenied);
  }

  #become(state: WatchState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#listener.onStateChange(state);
  }
}
