import {
  InvalidOptionsError,
  kindOf,
  runInTerm,
  show,
  type Disposer,
  type ElectionEvent,
  type ElectorState,
  type LeaderError,
  type LeadershipTerm,
  type StepDownOptions,
} from '../election/internal.js';
import { attachHandle, type ElectionEventOf, type LeaderHandle } from './leader-handle.js';

/** Options of a wait. */
export interface WaitOptions {
  /** Ends the wait when it fires; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of a task. */
export interface RunAsLeaderOptions extends WaitOptions {
  /** False: the end of the task does not hand the term over. Default true. */
  readonly stepDown?: boolean | undefined;
}

/** Says who leads, and calls listeners when that changes. One per election; that of the default election is injected by its class. */
export class LeaderService {
  /** The election's name in this application. */
  readonly election: string;
  readonly #handle: LeaderHandle;
  readonly #tasks = new WeakMap<LeadershipTerm, Tasks>();

  /** @internal The module creates it. */
  constructor(handle: LeaderHandle) {
    attachHandle(this, handle);
    this.#handle = handle;
    this.election = handle.election;
  }

  /** The identity of this process in the election. */
  get identity(): string {
    return this.#handle.identity;
  }

  /** The name of the lease. */
  get leaseName(): string {
    return this.#handle.leaseName;
  }

  /**
   * Whether this process leads at this instant. Compares clocks and sends no request. False as soon as the term is no longer
   * certain, even if the process was suspended or its event loop blocked. Also false during a hand-over.
   */
  isLeader(): boolean {
    return this.#handle.term !== undefined;
  }

  /** The identity of the leader, as last seen; `''` if nobody was seen to lead. It may have died since. */
  getLeader(): string {
    return this.#handle.leader;
  }

  /**
   * Where the leader can be reached: its option `advertise`, as last seen. Undefined if nobody was seen to lead, or the leader has no
   * such option. The leader may have died since.
   */
  getLeaderAddress(): string | undefined {
    return this.#handle.leaderAddress;
  }

  /** The state of the elector, with its present problems, if any. */
  get state(): ElectorState {
    return this.#handle.state;
  }

  /** The term in which this process leads, or undefined. */
  get term(): LeadershipTerm | undefined {
    return this.#handle.term;
  }

  /** The last error, however long ago; undefined if there was none. */
  get lastError(): LeaderError | undefined {
    return this.#handle.lastError;
  }

  /** The error with which the elector ended the election, if it did. */
  get failure(): Error | undefined {
    return this.#handle.failure;
  }

  /** For how many milliseconds nobody was seen to lead; 0 while somebody is. */
  get leaderlessForMs(): number {
    return this.#handle.leaderlessForMs;
  }

  /**
   * Resolves with a term as soon as this process leads; at once if it does. Do not await it in a start hook such as
   * `onModuleInit`, except with `enabled: false` and no function `campaign`: the campaign begins when all hooks have ended.
   *
   * @throws LeaderError (as a rejection) `LEADER_STOPPED` when the election ends, or the application closes, before this process
   * leads; `LEADER_NOT_CAMPAIGNING` when this process never will (`campaign: false`); the signal's reason when it fires; `LEADER_TERM_OVER` in work of a term that is being handed over, because the
   * hand-over waits for that work; `LEADER_INVALID_OPTIONS`.
   */
  async whenLeader(options: WaitOptions = {}): Promise<LeadershipTerm> {
    return await this.#handle.whenLeader(signalIn(options));
  }

  /**
   * Waits until this process leads, runs `task` as gated work of that term (with `currentTerm()`), and hands over when it has
   * ended; of several concurrent tasks, when the last has ended. `task` should heed the term's signal: nothing ends it by force.
   *
   * With `stepDown: false` the lease is kept when the task has ended. Of several concurrent tasks, whatever their order, one without
   * that option is enough for the hand-over: it comes when the last of them has ended, and that task waits for it.
   *
   * In work of a term (a gated method, a hook), it runs the task in that term. Then the end of the task begins the hand-over and
   * does not wait for it, as `stepDown` does.
   *
   * @returns what the task returns. Rejects as the task does, or as `whenLeader`.
   */
  async runAsLeader<T>(
    task: (term: LeadershipTerm) => T | Promise<T>,
    options: RunAsLeaderOptions = {},
  ): Promise<T> {
    const stepsDown = stepDownIn(options);
    const term = await this.whenLeader(options);
    if (term.isOver) return this.runAsLeader(task, options);
    const leave = term.enter();
    const tasks = this.#tasks.get(term) ?? { running: 0, stepsDown: false };
    this.#tasks.set(term, tasks);
    tasks.running += 1;
    try {
      return await runInTerm(this.election, term, () => task(term));
    } finally {
      leave();
      tasks.running -= 1;
      tasks.stepsDown ||= stepsDown;
      // Only this term: if it was lost, a later one stays. If it is being handed over, wait for the end of that.
      if (tasks.running === 0 && tasks.stepsDown && this.#isOn(term)) await this.stepDown();
    }
  }

  #isOn(term: LeadershipTerm): boolean {
    const { state } = this;
    return (state.kind === 'leading' || state.kind === 'handingOver') && state.term === term;
  }

  /**
   * Hands over while the process stays up: stops and drains the work, and releases the lease. Resolves when the term has ended. In
   * work of that term, it resolves as soon as the hand-over has begun, because the hand-over waits for the work.
   *
   * @throws InvalidOptionsError (as a rejection) `LEADER_INVALID_OPTIONS`
   */
  stepDown(options?: StepDownOptions): Promise<void> {
    return this.#handle.elector.stepDown(options);
  }

  /**
   * Yields the present state, and then each new state. A reader that is slower than the changes gets only the newest state.
   * Ends when the election ends, or when `signal` fires.
   */
  async *changes({ signal }: WaitOptions = {}): AsyncGenerator<ElectorState, void> {
    let changed = true;
    let wake: () => void = () => undefined;
    const note = (): void => {
      changed = true;
      wake();
    };
    const disposers = (['stateChanged', 'newLeader', 'error'] as const).map((type) => this.on(type, note));
    signal?.addEventListener('abort', note);
    try {
      while (signal?.aborted !== true) {
        if (!changed) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        changed = false;
        const { state } = this;
        yield state;
        if (state.kind === 'stopped') return;
      }
    } finally {
      for (const dispose of disposers) dispose();
      signal?.removeEventListener('abort', note);
    }
  }

  /**
   * Calls `listener` for each event of that type from now on, synchronously and in order. An error that it throws or rejects with
   * is reported as `LEADER_LISTENER_FAILED` and has no other effect. The returned function removes the listener.
   */
  on<T extends ElectionEvent['type']>(type: T, listener: (event: ElectionEventOf<T>) => unknown): Disposer {
    return this.#handle.on(type, listener);
  }
}

/** The tasks of `runAsLeader` in one term. */
interface Tasks {
  running: number;
  /** Whether one that has ended asks for the hand-over. */
  stepsDown: boolean;
}

/** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` for a value that is not a signal and would never fire. */
function signalIn(options: unknown): AbortSignal | undefined {
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionsError([`they are ${kindOf(options)}: they must be an object`], WAIT);
  const { signal } = options as { readonly signal?: unknown };
  if (signal === undefined || isSignal(signal)) return signal;
  throw new InvalidOptionsError([`signal is ${show(signal)}: it must be an AbortSignal`], WAIT);
}

/** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` */
function stepDownIn(options: unknown): boolean {
  const { stepDown = true } = (options ?? {}) as { readonly stepDown?: unknown };
  if (typeof stepDown === 'boolean') return stepDown;
  throw new InvalidOptionsError(
    [`stepDown is ${show(stepDown)}: it must be true or false`],
    'The options of runAsLeader()',
  );
}

const WAIT = 'The options of whenLeader() or runAsLeader()';

/** Checks the members: a signal of another realm, as in Jest, is not an instance of this realm's AbortSignal. */
function isSignal(signal: unknown): signal is AbortSignal {
  return typeof signal === 'object' && signal !== null && 'aborted' in signal && 'addEventListener' in signal;
}
