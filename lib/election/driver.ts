/**
 * Runs an election: feeds events to its machine, performs the effects, keeps the one timer, and serves users. It decides
 * nothing, and everything that a decision depends on is in the machine's state.
 */
import { NEVER, type Clock, type Disposer, type Instant, type MonotonicMs } from './clock.js';
import { captureContext, type Enter } from './current-term.js';
import type {
  ElectionCondition,
  ElectionEvent,
  ElectionObserver,
  ElectorState,
  TermGuard,
} from './elector.js';
import { LeaderError, alreadyStarted, isLeaderError } from './errors.js';
import type { HolderNote } from './lease.js';
import {
  termIn,
  type Life,
  type LifeEffect,
  type LifeEvent,
  type Measured,
  type Picture,
  type Reading,
  type Term,
  type Told,
} from './life.js';
import { unfailing, unfailingMeter, type ElectionMeter } from './meter.js';
import { GatedWork, TermHandle, type LeadershipTerm, type TermEndReason, type TermOwner } from './term.js';
import { Alarm, bounded, onAbort, onClocksApart } from './waiting.js';

/** What the state of every machine has: its life, and when the next thing is due. */
export interface Driven {
  readonly life: Life;
  readonly wakeAt: MonotonicMs;
}

/** A machine, and how its own effects are performed. */
export interface DriverParts<S extends Driven, H, E> {
  readonly leaseName: string;
  readonly identity: string;
  readonly clock: Clock;
  readonly initial: S;
  readonly step: (
    state: S,
    event: (H | LifeEvent) & { readonly at: Reading },
  ) => { readonly state: S; readonly effects: readonly (LifeEffect | E)[] };
  readonly describe: (state: S, at: Instant) => Picture;
  /** Whether this process wants to lead at the moment. Default: always. */
  readonly stands?: (() => boolean) | undefined;
  /** What this process writes about itself into its records. Default: nothing. */
  readonly process?: () => string | undefined;
  /** What else it writes about itself. Default: nothing. */
  readonly note?: (() => HolderNote | undefined) | undefined;
  /** Performs an effect that is not a {@link LifeEffect}. */
  readonly perform: (effect: E) => void;
  /** Called when the election has ended, to give up what is in flight. */
  readonly ended?: () => void;
  /** Called with each event, its effects and the state after it. Replaying the events from the initial state gives the same effects. */
  readonly trace?:
    | ((
        event: (H | LifeEvent) & { readonly at: Reading },
        effects: readonly (LifeEffect | E)[],
        state: S,
      ) => void)
    | undefined;
  readonly confirm?: TermOwner['confirm'];
  /** The longest wait for the guard, in milliseconds. */
  readonly guardMs?: number;
  readonly guard?: TermGuard | undefined;
  readonly meter?: ElectionMeter | undefined;
  readonly work?: GatedWork | undefined;
}

/** Before the start and after the end nothing is reported. */
const SILENT: Pick<Announcer, 'tell' | 'queue' | 'tellQueued'> = {
  tell: () => undefined,
  queue: () => undefined,
  tellQueued: () => undefined,
};

/** The kinds of effects that every machine has. */
const LIFE_EFFECTS = {
  tell: true,
  measure: true,
  beginTerm: true,
  closeTerm: true,
  endTerm: true,
  guard: true,
  awaitIdle: true,
} satisfies Record<LifeEffect['do'], true>;

function isLifeEffect(effect: { readonly do: string }): effect is LifeEffect {
  return Object.hasOwn(LIFE_EFFECTS, effect.do);
}

/** The parts of a term that are not in the state. */
interface DrivenTerm {
  readonly handle: TermHandle;
  /** Called when the term has ended. */
  readonly awaitingEnd: (() => void)[];
  /** Ends the wait for the guard's `atStart`. */
  startGuard: AbortController | undefined;
  /** Stops watching the clocks for this term. */
  readonly forget: Disposer;
}

/** Runs one election with its machine. */
export class Driver<S extends Driven, H, E extends { readonly do: string }> implements TermOwner {
  readonly leaseName: string;
  readonly identity: string;
  readonly clock: Clock;
  readonly work: GatedWork;
  readonly #parts: Omit<DriverParts<S, H, E>, 'initial'>;
  readonly #measure: ElectionMeter;
  readonly #trace: NonNullable<DriverParts<S, H, E>['trace']>;
  #state: S;
  /** The terms that the state may name, by their numbers. */
  readonly #terms = new Map<number, DrivenTerm>();
  #candidacyHasFailed = false;
  /** Enters the async context of the run. */
  #enter: Enter = (work) => work();
  #announcer = SILENT;
  /** How many steps are in progress: an effect may cause another step. */
  #depth = 0;
  readonly #alarm: Alarm;
  #onStopped: () => void = () => undefined;

  constructor({ initial, ...parts }: DriverParts<S, H, E>) {
    this.leaseName = parts.leaseName;
    this.identity = parts.identity;
    this.clock = parts.clock;
    this.work = parts.work ?? new GatedWork();
    this.#parts = parts;
    this.#state = initial;
    const report = (error: LeaderError): void => {
      this.report(error);
    };
    this.#measure = unfailingMeter(parts.meter, report);
    this.#trace = unfailing(parts.trace, "The election's trace threw and is not called again.", report);
    this.#alarm = new Alarm(parts.clock, () => {
      this.look();
    });
  }

  /** The state of the machine. */
  get state(): S {
    return this.#state;
  }

  get life(): Life {
    return this.#state.life;
  }

  /** The state that users see. It checks the clocks: a term that has run out is never shown. */
  get shown(): ElectorState {
    return this.#show(this.#parts.describe(this.#state, this.#instant()));
  }

  /**
   * Runs the election until `signal` fires and the election has stopped.
   *
   * @param started called first, unless `signal` has already fired; what it returns is called at the end.
   * @throws LeaderError `LEADER_ALREADY_STARTED`
   */
  async run(signal: AbortSignal, observer: ElectionObserver, started: () => Disposer): Promise<void> {
    if (this.life.phase.kind !== 'idle') throw alreadyStarted(this.leaseName);
    this.#enter = captureContext();
    this.#announcer = new Announcer((event) => {
      if (event.type === 'error') this.#measure({ type: 'failed', code: event.error.code });
      observer(event);
    });
    const stopped = new Promise<void>((resolve) => {
      this.#onStopped = resolve;
    });
    const disregard = signal.aborted ? undefined : started();
    const ignore = onAbort(signal, () => {
      this.feed({ type: 'stop' });
    });
    await stopped;
    disregard?.();
    ignore();
  }

  /** Feeds an event to the machine. When this returns, all synchronous consequences have been carried out. */
  feed(happening: H | LifeEvent): void {
    this.#enter(() => {
      this.#depth += 1;
      try {
        this.#step(happening);
      } finally {
        this.#depth -= 1;
        if (this.#depth === 0) this.#rest();
      }
    });
  }

  /**
   * Feeds the last event of a process that exits. Nobody is told anything any more: a listener that calls `process.exit()` would
   * change how the process ends.
   */
  feedLast(happening: H): void {
    this.#announcer = new Announcer(() => undefined);
    this.feed(happening);
  }

  #step(happening: H | LifeEvent): void {
    const event = { ...happening, at: this.reading };
    const { state, effects } = this.#parts.step(this.#state, event);
    this.#state = state;
    // An effect may cause the next step, whose reports must come after those of this one.
    for (const effect of effects) if (isLifeEffect(effect)) this.#queue(effect);
    this.#trace(event, effects, state);
    for (const effect of effects) {
      if (isLifeEffect(effect)) this.#perform(effect);
      // A step caused by an effect may have ended the election.
      else if (this.#state === state || this.life.phase.kind !== 'stopped') this.#parts.perform(effect);
    }
    // An outer step first performs the rest of its effects.
    if (this.#depth === 1) this.#announcer.tellQueued();
  }

  /** No step is in progress any more. */
  #rest(): void {
    this.#forgetEnded();
    if (this.life.phase.kind === 'stopped') this.#end();
    else this.#alarm.set(this.#state.wakeAt);
  }

  /** Runs `work` in the async context of the run, not in that of the user's code that caused it. */
  enter<T>(work: () => T): T {
    return this.#enter(work);
  }

  /** Checks the clocks, and ends a term that has run out. */
  look(): void {
    this.feed({ type: 'timePassed' });
  }

  /** Checks the term whenever the clocks have moved apart: while a machine is suspended, timers stand still. */
  #watchClocks({ validity }: Term): Disposer {
    if (validity.until === NEVER) return () => undefined;
    return onClocksApart(this.clock, () => {
      this.look();
    });
  }

  confirm(term: LeadershipTerm, signal: AbortSignal | undefined): Promise<void> {
    return this.enter(() => this.#parts.confirm?.(term, signal) ?? Promise.resolve());
  }

  /**
   * Feeds an event that begins a hand-over, and resolves when the term has ended. Resolves at once if there is no term, or if
   * the caller is gated work: the hand-over waits for that work, so it must not wait for the hand-over.
   */
  async feedAndAwaitEnd(event: H): Promise<void> {
    const term = termIn(this.life.phase);
    if (term === undefined) return;
    const { handle, awaitingEnd } = this.#term(term.number);
    const isOwnWork = this.work.isOfCaller(handle);
    const ended = new Promise<void>((resolve) => {
      awaitingEnd.push(resolve);
    });
    this.feed(event);
    if (!isOwnWork) await ended;
  }

  // Effects

  #queue(effect: LifeEffect): void {
    if (effect.do === 'tell') this.#announcer.queue(this.#event(effect.event));
    // Events that are queued later may refer to the term.
    if (effect.do === 'beginTerm')
      this.#terms.set(effect.term.number, {
        handle: new TermHandle(effect.term, this),
        awaitingEnd: [],
        startGuard: undefined,
        forget: this.#watchClocks(effect.term),
      });
  }

  #perform(effect: LifeEffect): void {
    switch (effect.do) {
      case 'tell':
      case 'beginTerm':
        return;
      case 'measure':
        this.#measureFact(effect.fact);
        return;
      case 'closeTerm':
        this.#close(effect.term, effect.reason);
        this.feed({ type: 'termClosed', term: effect.term });
        return;
      case 'endTerm': {
        const { handle } = this.#term(effect.term);
        handle.end(effect.renewedAt);
        this.#close(effect.term, effect.reason);
        this.work.outlive(handle);
        return;
      }
      case 'guard':
        void this.#guard(effect.when, effect.term);
        return;
      case 'awaitIdle':
        this.work.whenIdle(() => {
          this.feed({ type: 'workIdle' });
        });
        return;
    }
  }

  #close(term: number, reason: TermEndReason): void {
    const { handle, startGuard } = this.#term(term);
    handle.close(reason);
    startGuard?.abort(handle.signal.reason);
  }

  #measureFact(fact: Measured): void {
    if (fact.type === 'termBegan' || fact.type === 'termEnded')
      this.#measure({ ...fact, term: this.#term(fact.term).handle });
    else this.#measure(fact);
  }

  /** Calls the guard, and waits for it for `guardMs` at most. A failure is reported and changes nothing. */
  async #guard(when: 'start' | 'end', number: number): Promise<void> {
    const { guard, guardMs = 0 } = this.#parts;
    const term = this.#term(number);
    const waiting = new AbortController();
    if (when === 'start') term.startGuard = waiting;
    const error = await guardError(waiting, guardMs, this.clock, async (signal) => {
      await (when === 'start' ? guard?.atStart(term.handle, signal) : guard?.atEnd(term.handle, signal));
    });
    term.startGuard = undefined;
    this.feed({ type: 'guardFinished', when, term: number, error });
  }

  // Reporting

  /** Notifies observers of an error, after the events of the step in progress. */
  report(error: LeaderError): void {
    this.#announcer.queue({ type: 'error', error });
    if (this.#depth === 0) this.#announcer.tellQueued();
  }

  #event(told: Told): ElectionEvent {
    switch (told.type) {
      case 'stateChanged':
        return { ...told, state: this.#show(told.state) };
      case 'startedLeading':
      case 'stoppedLeading':
        return { ...told, term: this.#term(told.term).handle };
      case 'newLeader':
      case 'error':
        return told;
    }
  }

  /** Ends the run. Whatever is still in flight is given up without a report. */
  #end(): void {
    if (this.#announcer === SILENT) return;
    this.#announcer = SILENT;
    this.#alarm.clear();
    this.#parts.ended?.();
    this.#onStopped();
  }

  // Reading

  #show(picture: Picture): ElectorState {
    const { problems = [] }: ElectionCondition =
      picture.kind === 'idle' || picture.kind === 'stopped' ? {} : picture;
    const how = { error: problems[0] };
    switch (picture.kind) {
      case 'idle':
      case 'stopped':
        return picture;
      case 'leading':
        return { ...picture, ...how, term: this.#term(picture.term).handle };
      case 'handingOver':
        return {
          ...picture,
          ...how,
          term: this.#term(picture.term).handle,
          stillRunning: this.work.running,
        };
      case 'following':
        return { ...picture, ...how, stillRunning: this.work.running };
    }
  }

  #term(number: number): DrivenTerm {
    const term = this.#terms.get(number);
    if (term === undefined) throw new Error(`Unknown term ${String(number)}.`);
    return term;
  }

  /** Whether this process wants to lead. An error of the candidacy means no; the first is reported. */
  #stands(): boolean {
    try {
      return this.#parts.stands?.() ?? true;
    } catch (cause) {
      const message = 'This process does not campaign, because its candidacy threw an error; see its cause.';
      if (!this.#candidacyHasFailed) this.report(new LeaderError('LEADER_NOT_READY', message, { cause }));
      this.#candidacyHasFailed = true;
      return false;
    }
  }

  #instant(): Instant {
    return { now: this.clock.now(), date: this.clock.date() };
  }

  /** The inputs of a step, as of now. */
  get reading(): Reading {
    const { clock } = this;
    return {
      now: clock.now(),
      date: clock.date(),
      chance: clock.random(),
      running: this.work.running,
      stands: this.#stands(),
      process: this.#parts.process?.(),
      note: this.#parts.note?.(),
    };
  }

  /** Forgets the terms that have left the state, and resolves the waits for their end. */
  #forgetEnded(): void {
    const present = termIn(this.life.phase)?.number;
    for (const [number, { awaitingEnd, forget }] of this.#terms) {
      if (number === present) continue;
      this.#terms.delete(number);
      forget();
      for (const resolve of awaitingEnd) resolve();
    }
  }
}

/**
 * Notifies an observer of events one after the other and in order, even if handling one event causes another. If the observer
 * throws, that is reported as an `error` event, and nothing else changes.
 */
export class Announcer {
  readonly #observer: ElectionObserver;
  readonly #untold: ElectionEvent[] = [];
  #isTelling = false;

  constructor(observer: ElectionObserver) {
    this.#observer = observer;
  }

  tell(...events: readonly ElectionEvent[]): void {
    this.queue(...events);
    this.tellQueued();
  }

  /** Queues events for {@link tellQueued}. */
  queue(...events: readonly ElectionEvent[]): void {
    this.#untold.push(...events);
  }

  tellQueued(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    for (let event = this.#untold.shift(); event !== undefined; event = this.#untold.shift())
      this.#tell(event);
    this.#isTelling = false;
  }

  #tell(event: ElectionEvent): void {
    try {
      this.#observer(event);
    } catch (cause) {
      // The observer throws on error events, too, so there is nobody to report to.
      if (event.type === 'error' && event.error.code === 'LEADER_LISTENER_FAILED') return;
      const message = `A listener of the election event '${event.type}' threw. The election continues.`;
      this.queue({ type: 'error', error: new LeaderError('LEADER_LISTENER_FAILED', message, { cause }) });
    }
  }
}

// The guard

/**
 * Waits until `act` settles, `withinMs` have passed, or `waiting` is aborted. Never rejects.
 *
 * @returns the error, if any.
 */
async function guardError(
  waiting: AbortController,
  withinMs: number,
  clock: Clock,
  act: (signal: AbortSignal) => Promise<void>,
): Promise<LeaderError | undefined> {
  const { signal } = waiting;
  const givenUp = new AbortController();
  let disarm = clock.setTimer(withinMs, () => {
    waiting.abort(guardFailed(`did not finish within ${String(withinMs)} ms (retryPeriod)`));
  });
  signal.addEventListener('abort', () => {
    disarm();
    // Gives `act` a turn to react to the signal and reject with a more precise error.
    disarm = clock.setTimer(0, () => {
      givenUp.abort(signal.reason);
    });
  });
  try {
    await bounded({ signal: givenUp.signal }, () => act(signal));
    return undefined;
  } catch (error) {
    return isLeaderError(error) ? error : guardFailed('failed; see its cause', error);
  } finally {
    disarm();
  }
}

function guardFailed(what: string, cause?: unknown): LeaderError {
  return new LeaderError(
    'LEADER_GUARD_FAILED',
    `The action at the start or end of a term ${what}. The election continues without it.`,
    cause === undefined ? undefined : { cause },
  );
}
