/**
 * What an elector on a lease is doing, and how it gets from one thing to the next: terms begin, are lost, are handed
 * over; at the end it leaves. No requests here: what to ask the API server is decided elsewhere.
 *
 * Guarantees (design.md §1, G4 and G5): each term that began ends once; the phase has changed before its event is
 * told; work is stopped before the lease is given up, and while work runs the lease is kept.
 */
import { ActiveTerm, type TermFacts, type TermOwner } from './active-term.js';
import { Announcer } from './announcer.js';
import { captureContext, type Enter } from './async-context.js';
import { LONG_AGO, after, later, type Clock, type MonotonicMs } from './clock.js';
import type { ElectionEvent, ElectionObserver, ElectorState } from './elector.js';
import { drainTimeout } from './drain-timeout.js';
import { LeaderError, alreadyStarted } from './errors.js';
import { GatedWork } from './gated-work.js';
import type { ReleaseOutcome } from './lease-release.js';
import { unfailingMeter, type ElectionMeter, type Takeover } from './meter.js';
import type { ResolvedElectionOptions } from './options.js';
import { isTold, termOf, type HandingOver, type Phase } from './phase.js';
import { within, type TermGuard } from './term-guard.js';
import type { TermEndReason } from './term.js';

/** The options that govern the phases. */
export type PhasesOptions = Pick<
  ResolvedElectionOptions,
  'leaseName' | 'identity' | 'drainTimeout' | 'retryPeriod' | 'releaseOnCancel' | 'onLost'
>;

/** What the phases need of the elector around them. */
export interface PhasesHost {
  readonly clock: Clock;
  readonly options: PhasesOptions;
  readonly guard?: TermGuard | undefined;
  readonly meter?: ElectionMeter | undefined;
  /** The public picture of a phase. Looks at no clock: what is told of has just come about. */
  describe(phase: Phase): ElectorState;
  /** Something changed: decide anew. */
  wake(): void;
  /** No write that was sent so far may begin or extend a term. */
  voidWrites(): void;
  /** Voids the writes, and gives up the lease if it is ours, or may be through a write still unanswered. */
  release(): Promise<ReleaseOutcome>;
  /** That could not be made sure of. */
  releaseFailed(error: LeaderError): void;
  confirm(term: ActiveTerm, signal: AbortSignal | undefined): Promise<void>;
  /** The last phase has begun. */
  stopped(): void;
}

/** Before the start and after the end nothing is told. */
const SILENT = new Announcer(() => undefined);

/** See the head of the file. */
export class Phases {
  readonly #host: PhasesHost;
  /** Tells the meter, if there is one. */
  readonly measure: ElectionMeter;
  readonly #awaitingTermEnd: (() => void)[] = [];
  #announcer = SILENT;
  /** Enters the async context of the run. */
  #enter: Enter = (work) => work();
  #now: Phase = { kind: 'idle' };
  readonly #work: GatedWork;
  #cooldownUntil = LONG_AGO;
  #drainUntil = LONG_AGO;
  #stopRequested = false;

  constructor(host: PhasesHost, work = new GatedWork()) {
    this.#host = host;
    this.measure = unfailingMeter(host.meter, (error) => {
      this.tell({ type: 'error', error });
    });
    this.#work = work;
  }

  /** The phase. A term whose validity has run out is not in it any more. */
  get current(): Phase {
    termOf(this.#now)?.holdsLease();
    return this.#now;
  }

  /** The term in which the lease is held and may be renewed. */
  get heldTerm(): ActiveTerm | undefined {
    const phase = this.current;
    return phase.kind === 'handingOver' && phase.awaiting === 'release' ? undefined : termOf(phase);
  }

  /** How many pieces of work run, of whatever term. */
  get running(): number {
    return this.#work.running;
  }

  /** No campaign before this: a cool-down, or work of the last term that still runs (design.md §4 rule 8). */
  get campaignAt(): MonotonicMs {
    return this.#work.running > 0 ? later(this.#cooldownUntil, this.#drainUntil) : this.#cooldownUntil;
  }

  /** What a user's code brings about, from whatever async context, is the election's own life, and runs in that. */
  enter<T>(work: () => T): T {
    return this.#enter(work);
  }

  tell(...events: ElectionEvent[]): void {
    this.#announcer.tell(...events);
  }

  start(observer: ElectionObserver): void {
    if (this.#now.kind !== 'idle') throw alreadyStarted(this.#host.options.leaseName);
    this.#enter = captureContext();
    this.#announcer = new Announcer((event) => {
      if (event.type === 'error') this.measure({ type: 'failed', code: event.error.code });
      observer(event);
    });
    this.measure({ type: 'joined' });
    this.#become({ kind: 'following' });
  }

  /** @param takeover In which state the lease was found. Default: there is none. */
  begin(facts: Omit<TermFacts, 'leaseName' | 'identity'>, takeover: Takeover = 'none'): void {
    const { leaseName, identity } = this.#host.options;
    const owner: TermOwner = {
      clock: this.#host.clock,
      expired: (expired) => {
        this.enter(() => {
          this.#lose(expired, 'deadline');
        });
      },
      confirm: (confirming, signal) => this.enter(() => this.#host.confirm(confirming, signal)),
      looked: () => {
        this.#host.wake();
      },
      work: this.#work,
    };
    const { guard } = this.#host;
    this.enter(() => {
      const term = new ActiveTerm({ ...facts, leaseName, identity }, owner);
      if (guard === undefined) this.#open(term, takeover);
      else void this.#start(term, guard, takeover);
    });
  }

  /** The lease is not ours any more. */
  lose(reason: TermEndReason): void {
    const term = this.heldTerm;
    if (term === undefined) return;
    this.enter(() => {
      this.#lose(term, reason);
    });
  }

  /**
   * Stops the term's work and then gives up the lease. Resolves when the term has ended; at once for work that it waits
   * for: of the term itself, or of an earlier one that was lost.
   */
  handOver(reason: TermEndReason, cooldown: number): Promise<void> {
    const phase = this.current;
    if (!('term' in phase)) return Promise.resolve();
    const ended = new Promise<void>((resolve) => {
      this.#awaitingTermEnd.push(resolve);
    });
    if (phase.kind !== 'handingOver')
      this.enter(() => {
        this.#handOver(phase, reason, cooldown);
      });
    // The hand-over waits for work of the term: if that waited for it in turn, neither would ever end.
    return this.#work.isOfCaller(phase.term) ? Promise.resolve() : ended;
  }

  /** Comes to an end from wherever it is. */
  leave(): void {
    this.#stopRequested = true;
    const phase = this.current;
    if (phase.kind === 'starting' || phase.kind === 'leading') void this.handOver('stopped', 0);
    if (phase.kind === 'following')
      this.enter(() => {
        this.#leave();
      });
  }

  /** Nobody hears of the term before its guard has had its time. */
  async #start(term: ActiveTerm, guard: TermGuard, takeover: Takeover): Promise<void> {
    const waiting = new AbortController();
    this.#now = { kind: 'starting', term, waiting };
    const error = await this.#guarded(waiting, (signal) => guard.atStart(term, signal));
    const phase = this.current;
    if (phase.kind !== 'starting' || phase.term !== term) return;
    if (error !== undefined) this.tell({ type: 'error', error });
    this.#open(term, takeover);
    this.#host.wake();
  }

  #open(term: ActiveTerm, takeover: Takeover): void {
    this.measure({ type: 'termBegan', term, takeover });
    this.#become({ kind: 'leading', term }, { type: 'startedLeading', term });
  }

  #handOver(from: Phase & { kind: 'starting' | 'leading' }, reason: TermEndReason, cooldown: number): void {
    const { term } = from;
    const told = isTold(from);
    this.#now = { kind: 'handingOver', term, reason, cooldown, told, awaiting: 'work' };
    // The gate is closed before anybody hears of it.
    term.close(reason);
    if (from.kind === 'starting') from.waiting.abort(term.signal.reason);
    this.#measureDrain();
    if (told) this.tell(this.#stateChanged());
    this.#whenDrained(() => {
      const phase = this.#handingOver(term);
      if (phase !== undefined) void this.#giveUp(phase);
      else this.#lateWorkEnded();
    });
    this.#host.wake();
  }

  async #giveUp(drained: HandingOver): Promise<void> {
    const { term, reason, cooldown } = drained;
    if (this.#host.guard !== undefined) {
      this.#now = { ...drained, awaiting: 'guard' };
      await this.#guardEnd(term);
    }
    const phase = this.#handingOver(term);
    // Lost while the guard was waited for.
    if (phase === undefined) return;
    this.#now = { ...phase, awaiting: 'release' };
    term.end(reason);
    await this.#release(reason !== 'stopped' || this.#host.options.releaseOnCancel);
    this.#cooldownUntil = after(this.#host.clock.now(), cooldown);
    this.#endTerm(term, reason, this.#stopRequested ? 'stopped' : 'following');
  }

  /** The hand-over of that term, if it is still under way. */
  #handingOver(term: ActiveTerm): HandingOver | undefined {
    const phase = this.current;
    return phase.kind === 'handingOver' && phase.term === term ? phase : undefined;
  }

  async #guardEnd(term: ActiveTerm): Promise<void> {
    const { guard } = this.#host;
    if (guard === undefined) return;
    const error = await this.#guarded(new AbortController(), (signal) => guard.atEnd(term, signal));
    if (error !== undefined) this.tell({ type: 'error', error });
  }

  #guarded(
    waiting: AbortController,
    act: (signal: AbortSignal) => Promise<void>,
  ): Promise<LeaderError | undefined> {
    return within(this.#host.options.retryPeriod, this.#host.clock, waiting, act);
  }

  #lose(term: ActiveTerm, reason: TermEndReason): void {
    const { clock, options } = this.#host;
    const phase = this.#now;
    this.#host.voidWrites();
    // Of one that nobody was told of nobody hears that it is lost: to end the process for it is nobody's, then.
    if (options.onLost === 'exit' && isTold(phase)) this.#stopRequested = true;
    this.#drainUntil = after(clock.now(), options.drainTimeout);
    if (phase.kind === 'handingOver') this.#cooldownUntil = after(clock.now(), phase.cooldown);
    const next = this.#stopRequested ? 'leaving' : 'following';
    if (phase.kind !== 'handingOver') this.#measureDrain();
    this.#endTerm(term, reason, next);
    if (phase.kind === 'starting') phase.waiting.abort(term.signal.reason);
    if (phase.kind !== 'handingOver' || phase.awaiting === 'work') void this.#guardEnd(term);
    if (phase.kind !== 'handingOver' && this.#work.running > 0) {
      this.#whenDrained(() => {
        this.#lateWorkEnded();
      });
    }
    if (next === 'leaving') this.#leave();
  }

  /** Nothing of a lost term runs any more: nothing keeps this process from campaigning. */
  #lateWorkEnded(): void {
    if (this.#now.kind === 'following') this.tell(this.#stateChanged());
    this.#host.wake();
  }

  #endTerm(term: ActiveTerm, reason: TermEndReason, next: 'following' | 'leaving' | 'stopped'): void {
    const told = isTold(this.#now);
    this.#now = { kind: next };
    term.end(reason);
    this.#work.outlive(term);
    if (told) {
      this.measure({ type: 'termEnded', term, reason, lengthMs: this.#host.clock.now() - term.beganAt });
      this.tell(this.#stateChanged(), { type: 'stoppedLeading', term, reason });
    } else if (next === 'stopped') this.tell(this.#stateChanged());
    for (const resolve of this.#awaitingTermEnd.splice(0)) resolve();
    if (next === 'stopped') this.#end();
    else this.#host.wake();
  }

  /** Without a term: waits for what still runs, gives up a lease that may be ours all the same, and stops. */
  #leave(): void {
    this.#now = { kind: 'leaving' };
    this.#work.whenIdle(() => {
      void this.#release(this.#host.options.releaseOnCancel).then(() => {
        this.#become({ kind: 'stopped' });
        this.#end();
      });
    });
  }

  /** What is still under way comes to nothing, and nobody hears of it. */
  #end(): void {
    this.#host.stopped();
    this.#announcer = SILENT;
  }

  async #release(wanted: boolean): Promise<void> {
    if (!wanted) {
      this.#host.voidWrites();
      return;
    }
    const outcome = await this.#host.release();
    if (outcome.kind !== 'unknown') return;
    const { leaseName } = this.#host.options;
    this.#host.releaseFailed(
      new LeaderError(
        'LEADER_RELEASE_FAILED',
        `The release of '${leaseName}' could not be made sure of. Others take over when the lease runs out.`,
        { cause: outcome.error },
      ),
    );
  }

  /** Calls back when no work runs, and says so if that takes longer than `drainTimeout`. */
  #whenDrained(callback: () => void): void {
    const { clock, options } = this.#host;
    const cancel = clock.setTimer(options.drainTimeout, () => {
      this.tell({ type: 'error', error: drainTimeout(options, this.#work.running, this.current.kind) });
    });
    this.#work.whenIdle(() => {
      cancel();
      callback();
    });
  }

  #measureDrain(): void {
    const { running } = this.#work;
    if (running > 0) this.measure({ type: 'draining', pieces: running });
  }

  #become(phase: Phase, ...events: ElectionEvent[]): void {
    this.#now = phase;
    this.tell(this.#stateChanged(), ...events);
  }

  #stateChanged(): ElectionEvent {
    return { type: 'stateChanged', state: this.#host.describe(this.#now) };
  }
}
