import {
  LeaderError,
  SystemClock,
  bounded,
  isInTerm,
  unfailingMeter,
  unfailingTracer,
  type Clock,
  type Disposer,
  type ElectionEvent,
  type ElectionMeter,
  type ElectionTracer,
  type Elector,
  type ElectorState,
  type LeadershipTerm,
  type MonotonicMs,
  type TermEndReason,
} from '../election/internal.js';
import { ElectionLog } from './election-log.js';

/** The events of one type. */
export type ElectionEventOf<T extends ElectionEvent['type']> = Extract<ElectionEvent, { type: T }>;

type Listener = (event: ElectionEvent) => unknown;

/** The listeners of an election's events. */
class EventListeners {
  readonly #listeners = new Map<ElectionEvent['type'], Set<Listener>>();
  readonly #onRejection: (event: ElectionEvent, cause: unknown) => void;

  /** @param onRejection called when an async listener rejects, which is later than the event. */
  constructor(onRejection: (event: ElectionEvent, cause: unknown) => void) {
    this.#onRejection = onRejection;
  }

  add<T extends ElectionEvent['type']>(type: T, listener: (event: ElectionEventOf<T>) => unknown): Disposer {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners);
    const call = listener as Listener;
    // A new object, so that a function that is added twice is called twice.
    const entry: Listener = (event) => call(event);
    listeners.add(entry);
    return () => {
      listeners.delete(entry);
    };
  }

  /** Calls every listener. @throws when all have been called, what one of them threw, or an error with all that was thrown. */
  tell(event: ElectionEvent): void {
    const failures: unknown[] = [];
    for (const listener of [...(this.#listeners.get(event.type) ?? [])]) {
      try {
        const told = listener(event);
        if (!(told instanceof Promise)) continue;
        told.catch((cause: unknown) => {
          this.#onRejection(event, cause);
        });
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, 'Several listeners threw.');
  }
}

/** How long a caller may wait before the campaign begins until a warning is logged. */
const PATIENCE_BEFORE_START_MS = 5_000;

/** The property of a `LeaderService` that holds its handle. A symbol of the whole process, for several copies of this package. */
const HANDLE = Symbol.for('nestjs-leader.handle');

/** Gives a `LeaderService` its handle, as an own property: a test's stand-in may have the prototype of the class. */
export function attachHandle(service: object, handle: LeaderHandle): void {
  Object.defineProperty(service, HANDLE, { value: handle });
}

/** The handle of a `LeaderService` that the module created; undefined for a test's stand-in. */
export function handleOf(service: unknown): LeaderHandle | undefined {
  return (service as Record<symbol, LeaderHandle | undefined> | null | undefined)?.[HANDLE];
}

/** What a handle is made of. */
export interface LeaderHandleParts {
  readonly election: string;
  readonly elector: Elector;
  readonly meter?: ElectionMeter | undefined;
  readonly tracer?: ElectionTracer | undefined;
  readonly exposeLeader: boolean;
  readonly leaseDuration: number;
  /** Where this process can be reached while it leads. */
  readonly address?: string | undefined;
}

/** What this package itself needs of one election: its state, and the methods that its lifecycle and its gates call. */
export class LeaderHandle {
  /** The election's name in this application. */
  readonly election: string;
  readonly elector: Elector;
  readonly clock: Clock;
  /** Takes the facts that the elector does not know. Undefined without metrics. */
  readonly measure: ElectionMeter | undefined;
  /** Undefined without traces. */
  readonly tracer: ElectionTracer | undefined;
  /** Whether a refused caller may be told who leads. */
  readonly exposesLeader: boolean;
  readonly leaseDuration: number;
  readonly #address: string | undefined;
  readonly #listeners = new EventListeners((event, cause) => {
    this.listenerFailed(event, 'rejected', cause);
  });
  /** Called with the reason when it is certain that no term begins any more. */
  readonly #onEnd = new Set<(why: LeaderError) => void>();
  /** The callers that wait for a term. Not listeners: with `enabled: false` those get events only after the start. */
  readonly #onBegin = new Set<(term: LeadershipTerm) => void>();
  #failure: Error | undefined;
  #term: LeadershipTerm | undefined;
  /** Ends the trace of the term. */
  #endTrace: ((reason: TermEndReason) => void) | undefined;
  #leader = '';
  #leaderlessSince: MonotonicMs;
  #lastError: LeaderError | undefined;

  constructor(parts: LeaderHandleParts) {
    const { election, elector, meter, tracer, exposeLeader, leaseDuration, address } = parts;
    this.election = election;
    this.elector = elector;
    this.exposesLeader = exposeLeader;
    this.leaseDuration = leaseDuration;
    this.#address = address;
    this.clock = elector.clock ?? new SystemClock();
    this.#leaderlessSince = this.clock.now();
    this.measure =
      meter &&
      unfailingMeter(meter, (error) => {
        this.#report(error);
      });
    this.tracer =
      tracer &&
      unfailingTracer(tracer, (error) => {
        this.#report(error);
      });
  }

  get identity(): string {
    return this.elector.identity;
  }

  get leaseName(): string {
    return this.elector.leaseName;
  }

  get state(): ElectorState {
    return this.elector.state;
  }

  /** The identity of the leader, as last seen; `''` if nobody was seen to lead. */
  get leader(): string {
    return this.#leader;
  }

  /** Where the leader can be reached, if it says so. */
  get leaderAddress(): string | undefined {
    const { state } = this;
    if (state.kind === 'following') return state.leaderNote?.address;
    return state.kind === 'leading' || state.kind === 'handingOver' ? this.#address : undefined;
  }

  /** The error with which the elector ended the election, if it did. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get lastError(): LeaderError | undefined {
    return this.#lastError;
  }

  /** The term that was announced last, also if it is over. `enter()` of the term checks that, so the clocks are read once. */
  get lastTerm(): LeadershipTerm | undefined {
    return this.#term;
  }

  /** The term in which this process leads, or undefined. */
  get term(): LeadershipTerm | undefined {
    return this.#term?.isOver === false ? this.#term : undefined;
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

  /** As `whenLeader` of `LeaderService`. */
  async whenLeader(signal?: AbortSignal): Promise<LeadershipTerm> {
    if (signal?.aborted === true) throw signal.reason;
    const { state } = this;
    if (state.kind === 'handingOver' && isInTerm(state.term)) throw state.term.signal.reason;
    return await this.presentOrNextTerm(signal);
  }

  /** As `whenLeader`, also in work of a term that is being handed over: for callers that no work waits for. */
  async presentOrNextTerm(signal?: AbortSignal): Promise<LeadershipTerm> {
    const { term } = this;
    if (term !== undefined) return term;
    if (this.#failure !== undefined || this.state.kind === 'stopped') throw this.#stopped();
    if (abstains(this.state)) throw this.#abstains();
    const disposers = this.state.kind === 'idle' ? [this.#warnOfWait()] : [];
    const begun = new Promise<LeadershipTerm>((resolve, reject) => {
      disposers.push(listen(this.#onBegin, resolve), listen(this.#onEnd, reject));
    });
    try {
      return await bounded({ signal }, () => begun);
    } finally {
      for (const dispose of disposers) dispose();
    }
  }

  #warnOfWait(): Disposer {
    return this.clock.setTimer(PATIENCE_BEFORE_START_MS, () => {
      if (this.state.kind !== 'idle') return;
      ElectionLog.logger.warn(
        `whenLeader() or runAsLeader() of '${this.leaseName}' has waited for ${String(PATIENCE_BEFORE_START_MS / 1_000)} s, and ` +
          `the application has not started. The campaign begins after every onModuleInit and onApplicationBootstrap: if one of ` +
          `them awaits leadership, the application never starts. Do not await it there: void leader.runAsLeader(…).`,
      );
    });
  }

  #stopped(): LeaderError {
    const cause = this.#failure;
    return new LeaderError(
      'LEADER_STOPPED',
      `The election on '${this.leaseName}' has ended${cause === undefined ? ': the application is shutting down' : ' with an error'}.`,
      cause === undefined ? undefined : { cause },
    );
  }

  #abstains(): LeaderError {
    return new LeaderError(
      'LEADER_NOT_CAMPAIGNING',
      `This process does not campaign for '${this.leaseName}' (campaign: false), so it never leads. Call whenLeader() and ` +
        `runAsLeader() only in processes that campaign, or let this one campaign.`,
    );
  }

  /** Adds a listener. The returned function removes it. */
  on<T extends ElectionEvent['type']>(type: T, listener: (event: ElectionEventOf<T>) => unknown): Disposer {
    return this.#listeners.add(type, listener);
  }

  /** The elector ended with an error. */
  failed(error: unknown): void {
    this.#failure = error instanceof Error ? error : new Error('unknown', { cause: error });
    this.#term = undefined;
    this.#end(this.#stopped());
  }

  #end(why: LeaderError): void {
    for (const told of [...this.#onEnd]) told(why);
  }

  /** Reports an error of a listener. */
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
      // A listener of errors threw. It cannot be reported anywhere else, and must not end the process.
    }
  }

  /** Takes in an event of the elector, before listeners are called. */
  note(event: ElectionEvent): void {
    switch (event.type) {
      case 'stateChanged':
        if (event.state.kind === 'stopped') this.#end(this.#stopped());
        if (abstains(event.state)) this.#end(this.#abstains());
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
        this.#endTrace = this.tracer?.term(event.term);
        for (const told of [...this.#onBegin]) told(event.term);
        break;
      case 'stoppedLeading':
        this.#endTrace?.(event.reason);
        break;
    }
  }

  /** Calls the listeners. @throws what they throw. */
  tell(event: ElectionEvent): void {
    this.#listeners.tell(event);
  }
}

function abstains(state: ElectorState): boolean {
  return state.kind === 'following' && state.campaigns === false;
}

function listen<T>(listeners: Set<T>, listener: T): Disposer {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

/** `LEADER_MODULE_MISSING`, for a caller that needs an election and finds a test's stand-in. */
export function leaderReplaced(election: string, asked: string, options?: ErrorOptions): LeaderError {
  return new LeaderError(
    'LEADER_MODULE_MISSING',
    `${asked}, but the LeaderService of the election '${election}' has been replaced (overrideProvider, useMocker). Leave ` +
      `LeaderService as it is, and let the test decide who leads: overrideLeaderElection(builder) of nestjs-leader/testing for an ` +
      `existing AppModule, otherwise LeaderElectionTestingModule.forRoot(). Or call inside runInFakeTerm().`,
    options,
  );
}
