import {
  InvalidOptionsError,
  LeaderError,
  SystemClock,
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

/** How long a wait may last before the campaign begins without a word. */
const PATIENCE_BEFORE_START_MS = 5_000;

/** On every service that the module made, as an own property: a test's stand-in may have the prototype of the class. */
const brand = Symbol.for('nestjs-leader.service');

/** @internal Whether this is a service of an election, not a test's stand-in. */
export function isLeaderService(value: unknown): value is LeaderService {
  return (value as Record<symbol, unknown> | undefined)?.[brand] === true;
}

/** @internal `LEADER_MODULE_MISSING`, for what needs an election and finds a stand-in. */
export function leaderReplaced(election: string, asked: string, options?: ErrorOptions): LeaderError {
  return new LeaderError(
    'LEADER_MODULE_MISSING',
    `${asked}, but the LeaderService of the election '${election}' has been replaced by one that leads nothing ` +
      `(overrideProvider, useMocker). Let the test decide who leads: import LeaderElectionTestingModule.forRoot() and leave ` +
      `LeaderService as it is, or call inside runInFakeTerm().`,
    options,
  );
}

/** Answers who leads, and tells when that changes. One per election; the default one is injected by its class. */
export class LeaderService {
  /** The election's name in this application. */
  readonly election: string;
  readonly #elector: Elector;
  /** @internal What happens in this application around the elector, which tells the rest. Undefined without metrics. */
  readonly measure: ElectionMeter | undefined;
  /** @internal What all times here are of: the elector's. */
  readonly clock: Clock;
  readonly #listeners = new EventListeners((event, cause) => {
    this.listenerFailed(event, 'rejected', cause);
  });
  readonly #onEnd = new Set<() => void>();
  /** Who waits for a term. No listeners: with `enabled: false` those hear of a term only when the application has started. */
  readonly #onBegin = new Set<(term: LeadershipTerm) => void>();
  /** How many tasks of `runAsLeader` run in a term: it is handed over when the last of them has ended. */
  readonly #tasks = new WeakMap<LeadershipTerm, number>();
  #failure: Error | undefined;
  #term: LeadershipTerm | undefined;
  #leader = '';
  #leaderlessSince: MonotonicMs;
  #lastError: LeaderError | undefined;
  /** @internal Whether who is refused may know who leads: the option `exposeLeader`. */
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

  /** The name under which this process takes part. */
  get identity(): string {
    return this.#elector.identity;
  }

  /** The name of the lease. */
  get leaseName(): string {
    return this.#elector.leaseName;
  }

  /**
   * Whether this process leads at this instant. A certainty, not a memory: it looks at the clocks, asks nobody, and is
   * false as soon as the term is not certain any more, whatever kept the process from noticing. False also while
   * handing over.
   */
  isLeader(): boolean {
    return this.#term !== undefined && !this.#term.isOver;
  }

  /** Who leads, as last seen: `''` when nobody was seen to. May be a process that has died since. */
  getLeader(): string {
    return this.#leader;
  }

  /** What the elector is doing, with what is wrong at the moment, if anything. */
  get state(): ElectorState {
    return this.#elector.state;
  }

  /** The term in which this process leads, or undefined. */
  get term(): LeadershipTerm | undefined {
    return this.isLeader() ? this.#term : undefined;
  }

  /** @internal The term as last told, over or not: entering it tells, and looks at the clocks only once. */
  get lastTerm(): LeadershipTerm | undefined {
    return this.#term;
  }

  /** What went wrong last, however long ago; undefined if nothing ever did. */
  get lastError(): LeaderError | undefined {
    return this.#lastError;
  }

  /**
   * Resolves with a term as soon as this process leads; at once if it does. Not to be awaited in a start hook such as
   * `onModuleInit`, except with `enabled: false`: the campaign begins when every hook has ended.
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

  /** @internal As `whenLeader`, for what no work waits for, whoever calls. */
  presentOrNextTerm(signal?: AbortSignal): Promise<LeadershipTerm> {
    if (this.#term !== undefined && this.isLeader()) return Promise.resolve(this.#term);
    if (this.#failure !== undefined || this.state.kind === 'stopped')
      return Promise.reject(stopped(this.leaseName, this.#failure));
    return new Promise((resolve, reject) => {
      const dispose = (): void => {
        for (const disposer of disposers) disposer();
        signal?.removeEventListener('abort', giveUp);
      };
      const giveUp = (): void => {
        dispose();
        reject(signal?.reason as Error);
      };
      const disposers = [
        this.#whenBegun((term) => {
          dispose();
          resolve(term);
        }),
        this.#whenEnded(() => {
          dispose();
          reject(stopped(this.leaseName, this.#failure));
        }),
        ...(this.state.kind === 'idle' ? [this.#warnOfWait()] : []),
      ];
      signal?.addEventListener('abort', giveUp);
    });
  }

  #warnOfWait(): Disposer {
    return this.clock.setTimer(PATIENCE_BEFORE_START_MS, () => {
      if (this.state.kind === 'idle') ElectionLog.logger.warn(waitsBeforeStart(this.leaseName));
    });
  }

  /**
   * Waits until this process leads, runs `task` as gated work of that term (with `currentTerm()`), and hands over when it
   * has ended: of several such tasks the last. `task` should watch the term's signal: it is not ended by force.
   *
   * In work of the term itself (a gated method, a hook) the task runs in that term, too; its end begins the hand-over and
   * does not wait for that, as `stepDown`.
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
      // Not the term after it, if this one was lost. One that is being handed over: resolves as that ends.
      if (this.#tasks.get(term) === 0 && this.#isOn(term)) await this.stepDown();
    }
  }

  #countTask(term: LeadershipTerm, more: 1 | -1): void {
    this.#tasks.set(term, (this.#tasks.get(term) ?? 0) + more);
  }

  /**
   * Hands over while staying up: work is stopped and drained, the lease released. Resolves when the term has ended; in work
   * of that term, which is waited for, as soon as the hand-over has begun.
   *
   * @throws InvalidOptionsError (as a rejection) `LEADER_INVALID_OPTIONS`
   */
  stepDown(options?: StepDownOptions): Promise<void> {
    return this.#elector.stepDown(options);
  }

  /**
   * The state now, and from then on whenever it has changed. A reader that is slower than the changes sees the newest, not
   * every one. Ends when the election has, or when `signal` fires.
   */
  changes({ signal }: WaitOptions = {}): AsyncGenerator<ElectorState, void> {
    return stateChanges(this, signal);
  }

  /**
   * Calls `listener` for each event of that type from now on, synchronously and in order. What it throws, or rejects with, is
   * reported as `LEADER_LISTENER_FAILED` and disturbs nobody. The returned function takes it away again.
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

  /** What ended the election, if it was an error that its elector could not go on after. */
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

  /** Tells of what the elector knows nothing of. */
  #report(error: LeaderError): void {
    this.measure?.({ type: 'failed', code: error.code });
    try {
      this.note({ type: 'error', error });
      this.tell({ type: 'error', error });
    } catch {
      // The listener of errors is broken itself: there is nobody left to tell, and the process must not end of it.
    }
  }

  /** @internal What the elector tells: from now on it is so. */
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

  /** @internal Tells the listeners of what has been noted. @throws what they throw. */
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

/** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` for what would never fire. */
function signalIn(options: unknown): AbortSignal | undefined {
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionsError([`they are ${kindOf(options)}: they must be an object`], WAIT);
  const { signal } = options as { readonly signal?: unknown };
  if (signal === undefined || isSignal(signal)) return signal;
  throw new InvalidOptionsError([`signal is ${show(signal)}: it must be an AbortSignal`], WAIT);
}

const WAIT = 'The options of whenLeader() or runAsLeader()';

/** By what it can do: another realm's, as in Jest, is no instance of this one's class. */
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
