import {
  InvalidOptionsError,
  LeaderError,
  SystemClock,
  bounded,
  isInTerm,
  kindOf,
  runInTerm,
  show,
  unfailingMeter,
  type Clock,
  type Disposer,
  type ElectionEvent,
  type ElectionMeter,
  type Elector,
  type ElectorState,
  type LeadershipTerm,
  type MonotonicMs,
  type StepDownOptions,
} from '../election/index.js';
import { ElectionLog } from './election-log.js';
import { EventListeners, type ElectionEventOf } from './event-listeners.js';
import { stateChanges } from './state-changes.js';

/** A wait that can be given up. */
export interface WaitOptions {
  /** Gives up the wait; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** How long a caller may wait before the campaign begins until a warning is logged. */
const PATIENCE_BEFORE_START_MS = 5_000;

/** An own property of every service that the module created. A test's stand-in may have the prototype of the class. */
const brand = Symbol.for('nestjs-leader.service');

/** @internal Whether this is a service of an election, not a test's stand-in. */
export function isLeaderService(value: unknown): value is LeaderService {
  return (value as Record<symbol, unknown> | undefined)?.[brand] === true;
}

/** @internal `LEADER_MODULE_MISSING`, for a caller that needs an election and finds a stand-in. */
export function leaderReplaced(election: string, asked: string, options?: ErrorOptions): LeaderError {
  return new LeaderError(
    'LEADER_MODULE_MISSING',
    `${asked}, but the LeaderService of the election '${election}' has been replaced by one that leads nothing ` +
      `(overrideProvider, useMocker). Let the test decide who leads: import LeaderElectionTestingModule.forRoot() and leave ` +
      `LeaderService as it is, or call inside runInFakeTerm().`,
    options,
  );
}

/** Answers who leads, and calls listeners when that changes. One per election; that of the default election is injected by its class. */
export class LeaderService {
  /** The election's name in this application. */
  readonly election: string;
  readonly #elector: Elector;
  /** @internal Takes the facts that the elector does not know. Undefined without metrics. */
  readonly measure: ElectionMeter | undefined;
  /** @internal The elector's clock. */
  readonly clock: Clock;
  readonly #listeners = new EventListeners((event, cause) => {
    this.listenerFailed(event, 'rejected', cause);
  });
  readonly #onEnd = new Set<() => void>();
  /** The callers that wait for a term. They are not listeners, which with `enabled: false` get events only after the application has started. */
  readonly #onBegin = new Set<(term: LeadershipTerm) => void>();
  /** How many tasks of `runAsLeader` run in a term. It is handed over when the last of them has ended. */
  readonly #tasks = new WeakMap<LeadershipTerm, number>();
  #failure: Error | undefined;
  #term: LeadershipTerm | undefined;
  #leader = '';
  #leaderlessSince: MonotonicMs;
  #lastError: LeaderError | undefined;
  /** @internal Whether a refused caller may be told who leads: the option `exposeLeader`. */
  readonly exposesLeader: boolean;

  /** @internal Made by the module. */
  constructor(election: string, elector: Elector, meter?: ElectionMeter, exposesLeader = true) {
    Object.defineProperty(this, brand, { value: true });
    this.election = election;
    this.exposesLeader = exposesLeader;
    this.#elector = elector;
    this.clock = elector.clock ?? new SystemClock();
    this.#leaderlessSince = this.clock.now();
    this.measure =
      meter &&
      unfailingMeter(meter, (error) => {
        this.#report(error);
      });
  }

  /** The identity of this process in the election. */
  get identity(): string {
    return this.#elector.identity;
  }

  /** The name of the lease. */
  get leaseName(): string {
    return this.#elector.leaseName;
  }

  /**
   * Whether this process leads at this instant. It compares the clocks and sends no request. It is false as soon as the term is
   * not certain any more, even if the process was suspended or its event loop blocked. Also false during a hand-over.
   */
  isLeader(): boolean {
    return this.#term !== undefined && !this.#term.isOver;
  }

  /** The identity of the leader, as last seen; `''` if nobody was seen to lead. It may have died since. */
  getLeader(): string {
    return this.#leader;
  }

  /** The state of the elector, with its present problems, if any. */
  get state(): ElectorState {
    return this.#elector.state;
  }

  /** The term in which this process leads, or undefined. */
  get term(): LeadershipTerm | undefined {
    return this.isLeader() ? this.#term : undefined;
  }

  /** @internal The term that was announced last, whether it is over or not. To enter it checks that, so the clocks are read once. */
  get lastTerm(): LeadershipTerm | undefined {
    return this.#term;
  }

  /** The last error, however long ago; undefined if there was none. */
  get lastError(): LeaderError | undefined {
    return this.#lastError;
  }

  /**
   * Resolves with a term as soon as this process leads; at once if it does. Do not await it in a start hook such as
   * `onModuleInit`, except with `enabled: false`: the campaign begins when all hooks have ended.
   *
   * @throws LeaderError (as a rejection) `LEADER_STOPPED` when the election ends before, or the application closes before it
   * has begun; the signal's reason when it fires; `LEADER_TERM_OVER` in work of a term that is being handed over, since the
   * hand-over waits for that work; `LEADER_INVALID_OPTIONS`.
   */
  async whenLeader(options: WaitOptions = {}): Promise<LeadershipTerm> {
    const signal = signalIn(options);
    if (signal?.aborted === true) throw signal.reason;
    const { state } = this;
    if (state.kind === 'handingOver' && isInTerm(state.term)) throw state.term.signal.reason;
    return await this.presentOrNextTerm(signal);
  }

  /** @internal As `whenLeader`, also in work of a term that is being handed over. For callers that no work waits for. */
  async presentOrNextTerm(signal?: AbortSignal): Promise<LeadershipTerm> {
    if (this.#term !== undefined && this.isLeader()) return this.#term;
    if (this.#failure !== undefined || this.state.kind === 'stopped')
      throw stopped(this.leaseName, this.#failure);
    const disposers = this.state.kind === 'idle' ? [this.#warnOfWait()] : [];
    const begun = new Promise<LeadershipTerm>((resolve, reject) => {
      disposers.push(
        this.#whenBegun(resolve),
        this.#whenEnded(() => {
          reject(stopped(this.leaseName, this.#failure));
        }),
      );
    });
    try {
      return await bounded({ signal }, () => begun);
    } finally {
      for (const dispose of disposers) dispose();
    }
  }

  #warnOfWait(): Disposer {
    return this.clock.setTimer(PATIENCE_BEFORE_START_MS, () => {
      if (this.state.kind === 'idle') ElectionLog.logger.warn(waitsBeforeStart(this.leaseName));
    });
  }

  /**
   * Waits until this process leads, runs `task` as gated work of that term (with `currentTerm()`), and hands over when it has
   * ended; of several concurrent tasks, when the last has ended. `task` should heed the term's signal: it is not ended by force.
   *
   * Called by work of a term (a gated method, a hook), it runs the task in that term. Then the end of the task begins the
   * hand-over and does not wait for it, as `stepDown` does.
   *
   * @returns what the task returns. Rejects as the task does, or as `whenLeader`.
   */
  async runAsLeader<T>(
    task: (term: LeadershipTerm) => T | Promise<T>,
    options: WaitOptions = {},
  ): Promise<T> {
    const term = await this.whenLeader(options);
    if (term.isOver) return this.runAsLeader(task, options);
    const leave = term.enter();
    this.#countTask(term, 1);
    try {
      return await runInTerm(this.election, term, () => task(term));
    } finally {
      leave();
      this.#countTask(term, -1);
      // Only this term: if it was lost, a later one stays. If it is being handed over, wait for the end of that.
      if (this.#tasks.get(term) === 0 && this.#isOn(term)) await this.stepDown();
    }
  }

  #countTask(term: LeadershipTerm, more: 1 | -1): void {
    this.#tasks.set(term, (this.#tasks.get(term) ?? 0) + more);
  }

  /**
   * Hands over while the process stays up: work is stopped and drained, and the lease is released. Resolves when the term has
   * ended. Called by work of that term, it resolves as soon as the hand-over has begun, because the hand-over waits for the work.
   *
   * @throws InvalidOptionsError (as a rejection) `LEADER_INVALID_OPTIONS`
   */
  stepDown(options?: StepDownOptions): Promise<void> {
    return this.#elector.stepDown(options);
  }

  /**
   * Yields the present state, and then each new state. A reader that is slower than the changes gets only the newest state.
   * Ends when the election ends, or when `signal` fires.
   */
  changes({ signal }: WaitOptions = {}): AsyncGenerator<ElectorState, void> {
    return stateChanges(this, signal);
  }

  /**
   * Calls `listener` for each event of that type from now on, synchronously and in order. An error that it throws or rejects with
   * is reported as `LEADER_LISTENER_FAILED` and has no other effect. The returned function removes the listener.
   */
  on<T extends ElectionEvent['type']>(type: T, listener: (event: ElectionEventOf<T>) => unknown): Disposer {
    return this.#listeners.add(type, listener);
  }

  /** For how many milliseconds nobody was seen to lead; 0 while somebody is. */
  get leaderlessForMs(): number {
    const { state } = this;
    if (state.kind === 'leading' || state.kind === 'handingOver') return 0;
    const now = this.clock.now();
    if (this.#leader === '') return now - this.#leaderlessSince;
    const expiresAt = state.kind === 'following' ? state.expiresAt : undefined;
    return expiresAt === undefined ? 0 : Math.max(now - expiresAt, 0);
  }

  /** The error with which the elector ended the election, if it did. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** @internal The elector ended with an error. */
  failed(error: unknown): void {
    this.#failure = error instanceof Error ? error : new Error('unknown', { cause: error });
    this.#term = undefined;
    this.#end();
  }

  #end(): void {
    for (const told of [...this.#onEnd]) told();
  }

  #whenEnded(told: () => void): Disposer {
    this.#onEnd.add(told);
    return () => {
      this.#onEnd.delete(told);
    };
  }

  #whenBegun(told: (term: LeadershipTerm) => void): Disposer {
    this.#onBegin.add(told);
    return () => {
      this.#onBegin.delete(told);
    };
  }

  #isOn(term: LeadershipTerm): boolean {
    const { state } = this;
    return (state.kind === 'leading' || state.kind === 'handingOver') && state.term === term;
  }

  /** @internal */
  listenerFailed(event: ElectionEvent, how: 'threw' | 'rejected', cause: unknown): void {
    if (event.type === 'error' && event.error.code === 'LEADER_LISTENER_FAILED') return;
    const message = `A listener of the election event '${event.type}' ${how}. The election goes on.`;
    this.#report(new LeaderError('LEADER_LISTENER_FAILED', message, { cause }));
  }

  /** Announces an error that does not come from the elector. */
  #report(error: LeaderError): void {
    this.measure?.({ type: 'failed', code: error.code });
    try {
      this.note({ type: 'error', error });
      this.tell({ type: 'error', error });
    } catch {
      // A listener of errors failed itself. There is nobody left to report that to, and the process must not end because of it.
    }
  }

  /** @internal Takes in an event of the elector, before listeners are called. */
  note(event: ElectionEvent): void {
    switch (event.type) {
      case 'stateChanged':
        if (event.state.kind === 'stopped') this.#end();
        this.#term = event.state.kind === 'leading' ? event.state.term : undefined;
        break;
      case 'newLeader':
        this.#leader = event.identity;
        this.#leaderlessSince = this.clock.now();
        break;
      case 'error':
        this.#lastError = event.error;
        break;
      case 'startedLeading':
        this.#leader = this.identity;
        for (const told of [...this.#onBegin]) told(event.term);
        break;
      case 'stoppedLeading':
        break;
    }
  }

  /** @internal Calls the listeners. @throws what they throw. */
  tell(event: ElectionEvent): void {
    this.#listeners.tell(event);
  }
}

function stopped(leaseName: string, cause?: unknown): LeaderError {
  return new LeaderError(
    'LEADER_STOPPED',
    `The election on '${leaseName}' has ended${cause === undefined ? ': the application is shutting down' : ' with an error'}.`,
    cause === undefined ? undefined : { cause },
  );
}

/** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` for a value that is not a signal and would never fire. */
function signalIn(options: unknown): AbortSignal | undefined {
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionsError([`they are ${kindOf(options)}: they must be an object`], WAIT);
  const { signal } = options as { readonly signal?: unknown };
  if (signal === undefined || isSignal(signal)) return signal;
  throw new InvalidOptionsError([`signal is ${show(signal)}: it must be an AbortSignal`], WAIT);
}

const WAIT = 'The options of whenLeader() or runAsLeader()';

/** Checks the members: a signal of another realm, as in Jest, is not an instance of this realm's AbortSignal. */
function isSignal(signal: unknown): signal is AbortSignal {
  return typeof signal === 'object' && signal !== null && 'aborted' in signal && 'addEventListener' in signal;
}

function waitsBeforeStart(leaseName: string): string {
  const seconds = String(PATIENCE_BEFORE_START_MS / 1_000);
  return (
    `whenLeader() or runAsLeader() of '${leaseName}' has been waited for for ${seconds} s, and the application has not started. ` +
    `The campaign begins when every onModuleInit and onApplicationBootstrap has ended: if one of them awaits leadership, ` +
    `the application never starts. Do not await it there: void leader.runAsLeader(…).`
  );
}
