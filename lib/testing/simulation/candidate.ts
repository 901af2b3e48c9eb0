import {
  JointElector,
  LeaseElector,
  LeaseRequestError,
  Preference,
  SlotElector,
  Spread,
  isLeaderError,
  isLoss,
  resolveElectionOptions,
  type ElectionEvent,
  type ElectionOptions,
  type ElectionTrace,
  type Elector,
  type HolderProcess,
  type LeaderErrorCode,
  type LeadershipTerm,
  type LeaseUpdate,
  type ProofOfDeath,
  type ResolvedElectionOptions,
  type TermEndReason,
} from '../../election/internal.js';
import type { SimulatedClock } from '../simulated-clock.js';
import type { SimulatedLeaseLock } from '../simulated-lease.js';
import type { SimulatedTime } from '../simulated-time.js';
import { EventLoop } from './event-loop.js';
import type { FaultKind, guardFaultKinds } from './fault-kinds.js';
import { Fitness } from './fitness.js';
import type { FleetLease } from './fleet-lease.js';
import { GatedJob } from './gated-job.js';
import { LeaseUse } from './lease-use.js';
import type { Party } from './party.js';
import { Path } from './path.js';
import type { RecordRules } from './record-rules.js';
import { RequestHistory } from './request-history.js';
import type { Cluster, ContainerRun, ExitCode } from './pods.js';
import { SimulatedGuard } from './simulated-guard.js';
import { SimulatedProof, type Takeover } from './simulated-proof.js';
import type { Store } from './stores.js';
import type { WitnessedTerm } from './term-history.js';
import type { Guarantee } from './witness.js';

/** What the fleet provides to a process. */
export interface CandidateSurroundings {
  readonly time: SimulatedTime;
  readonly cluster: Cluster;
  readonly stores: readonly Store[];
  readonly options: ElectionOptions;
  /** The longest delay of a request or an event. */
  readonly longestDelayMs: number;
  readonly log: (line: string) => void;
  readonly struck: (kind: FaultKind, process: string) => void;
  readonly broken: (guarantee: Guarantee, what: string) => void;
  /** Returns a trace of its election on this Lease. */
  readonly traceOf: (leaseName: string) => ElectionTrace | undefined;
}

/** The properties of one process. */
export interface CandidateTraits {
  readonly name: string;
  readonly identity: string;
  readonly rate: number;
  readonly wallOffsetMs: number;
  /** The container in which it runs. */
  readonly run: ContainerRun;
  readonly takeover: Takeover;
  /** What it knows about itself; undefined if it is not certain of its container. */
  readonly own: HolderProcess | undefined;
  /** The Leases of its election: one; one for each slot; or both, while the election moves from one to the other. */
  readonly leases: readonly FleetLease[];
  /** What several Leases are. */
  readonly several: 'slots' | 'move';
  /** The candidates for the earlier elections of its process. It adds itself. */
  readonly mates: Candidate[];
  /** Whether the elections of its process are spread over the processes. */
  readonly isSpread: boolean;
  /** Whether something is done at the start and end of each of its terms. */
  readonly isGuarded: boolean;
  /** How much it is preferred as the leader; undefined: it has no priority. */
  readonly priority: number | undefined;
}

/** The most gated jobs that run in one process at a time. */
const MOST_JOBS = 4;
/** More than the jobs of any term. A process has several slots or several elections. */
const ROWS_OF_A_SLOT = 1_000_000;
/** How often an application that wants to be sure confirms its term. */
const CONFIRM_EVERY_MS = 50;
/** How long after its election a process may run. */
const LONGEST_AFTER_END_MS = 1_000;
const WATCH_DENIED = new LeaseRequestError('LEADER_FORBIDDEN', 'Simulated 403.', { maybeCommitted: false });
/** How late a term may reach its limit, because timers are rounded. */
const ROUNDING_MS = 0.001;

/**
 * A process of a simulated fleet that runs an elector and does what applications do. A process that takes part in several
 * elections has a candidate for each, in one event loop.
 */
export class Candidate implements Party {
  readonly name: string;
  readonly identity: string;
  readonly goesByName = false;
  readonly options: ResolvedElectionOptions;
  readonly records: RecordRules;
  readonly rate: number;
  readonly reclaims: boolean;
  readonly lockDelay: number;
  readonly renewDeadline: number;
  readonly drainTimeout: number;
  readonly termLimit: number;
  /** Whether its election ends when it loses a term. */
  readonly exitsOnLoss: boolean;
  readonly spreads: boolean;
  readonly isGuarded: boolean;
  /** Whether it releases its lease when it stops. */
  readonly releases: boolean;
  readonly run: ContainerRun;
  readonly takeover: Takeover;
  readonly own: HolderProcess | undefined;
  readonly loop: EventLoop;
  /** The candidates of its process, this one included. */
  readonly mates: Candidate[];
  /** Spreads the elections of its process. */
  readonly #spread: Spread | undefined;
  /** Which of the elections of its process this is: 0, 1, … */
  readonly #election: number;
  /** The elector's clock, and an equal one for the application, so that their timers can be told apart. */
  readonly #clock: SimulatedClock;
  readonly #applicationClock: SimulatedClock;
  readonly path: Path;
  readonly #uses: readonly LeaseUse[];
  readonly #several: 'slots' | 'move';
  readonly #elector: Elector;
  readonly #guard: SimulatedGuard | undefined;
  readonly #preference: Preference | undefined;
  readonly #proof: SimulatedProof;
  /** How much it is preferred as the leader; undefined: it has no priority. */
  priority: number | undefined;
  readonly #fitness = new Fitness();
  readonly #surroundings: CandidateSurroundings;
  readonly #jobs = new Set<GatedJob>();
  readonly #stop = new AbortController();
  /** The codes of failures that the elector has met, and of those that it has reported. */
  readonly #heard = new Set<LeaderErrorCode>();
  readonly #told = new Set<LeaderErrorCode>();
  #newestTerm: LeadershipTerm | undefined;
  /** The announced term that has not ended, as the witness of each of its Leases sees it. */
  #open:
    | {
        readonly term: LeadershipTerm;
        readonly beganAt: number;
        readonly seen: ReadonlyMap<LeaseUse, WitnessedTerm>;
      }
    | undefined;
  /** On which of its Leases the newest term ended first. */
  #endedFirst: { readonly use: LeaseUse; readonly reason: TermEndReason } | undefined;
  /** It has lost a term, and so its election ends. */
  #hasToEnd = false;
  #hasEnded = false;
  #isStopping = false;
  #isExiting = false;
  /** How many jobs have begun in the current term. */
  #begun = 0;
  /** Until when the application confirms its term again and again. */
  #confirmsUntil = Number.NEGATIVE_INFINITY;
  #lostAt = Number.NEGATIVE_INFINITY;

  constructor(traits: CandidateTraits, surroundings: CandidateSurroundings) {
    const { time } = surroundings;
    const options = resolveElectionOptions(surroundings.options, {
      leaseNamespace: 'default',
      identity: traits.identity,
    });
    this.name = traits.name;
    this.identity = traits.identity;
    this.rate = traits.rate;
    this.run = traits.run;
    this.takeover = traits.takeover;
    this.own = traits.own;
    const { mates } = traits;
    const [first] = mates;
    this.mates = mates;
    this.#election = mates.length;
    mates.push(this);
    if (first === undefined) this.run.enter();
    this.options = options;
    this.records = options;
    this.renewDeadline = options.renewDeadline;
    this.drainTimeout = options.drainTimeout;
    this.termLimit = options.termLimit;
    this.reclaims = options.reclaimOwnLease;
    this.lockDelay = options.lockDelay;
    this.exitsOnLoss = options.onLost === 'exit';
    this.spreads = options.spread;
    this.isGuarded = traits.isGuarded;
    this.releases = options.releaseOnCancel;
    this.priority = traits.priority;
    this.#several = traits.several;
    this.#surroundings = surroundings;
    this.loop = first?.loop ?? new EventLoop(time);
    const clock = { rate: traits.rate, wallOffsetMs: traits.wallOffsetMs, deliver: this.loop.deliver };
    this.#clock = time.clock(clock);
    this.#applicationClock = time.clock(clock);
    const spread = traits.isSpread ? new Spread(this.#applicationClock) : undefined;
    this.#spread = first === undefined ? spread : first.#spread;
    this.path = new Path({
      time,
      longestDelayMs: surroundings.longestDelayMs,
      struck: (kind) => {
        surroundings.struck(kind, traits.name);
      },
    });
    this.#uses = traits.leases.map((on) => this.#use(on, options));
    this.#proof = new SimulatedProof(traits.own, {
      cluster: surroundings.cluster,
      watchesPods: traits.takeover === 'podStatus',
      deliver: (callback) => {
        this.path.bring(callback, this.loop.deliver);
      },
    });
    this.#guard = traits.isGuarded ? this.#newGuard(options) : undefined;
    this.#preference =
      traits.priority === undefined
        ? undefined
        : new Preference({
            priority: () => this.priority ?? 0,
            interval: options.leaseDuration,
            clock: this.#clock,
          });
    this.#elector = this.#newElector(options);
  }

  #use(on: FleetLease, options: ResolvedElectionOptions): LeaseUse {
    const { broken, time, traceOf } = this.#surroundings;
    const lock = on.lease.lock(this.name, (callback) => {
      this.path.bring(callback, this.loop.deliver);
    });
    const requests = new RequestHistory(options, {
      rate: this.rate,
      now: () => this.now,
      certainUntil: () => on.witness.certainUntil(this),
      hasTerm: () => use.hasTerm,
      broken: (what) => {
        broken('G7', `${this.name} ${what}`);
      },
    });
    lock.fate = (request) => {
      const fate = this.path.fateOf(request);
      requests.meets(fate);
      return fate;
    };
    lock.eventFate = (event) => this.path.fateOfEvent(event);
    const use: LeaseUse = new LeaseUse(this, on, {
      lock,
      requests,
      broken: (what) => {
        broken('G7', `${this.name} ${what}`);
      },
      now: () => time.now,
      heard: (code) => this.#heard.add(code),
      isConfirming: () => this.#isConfirming,
      isStopping: () => this.#isStopping,
      ended: (use, reason) => {
        this.#endedFirst ??= { use, reason };
      },
      releases: () => {
        this.#checkRelease(on);
      },
      trace: traceOf(on.leaseName),
    });
    return use;
  }

  #newGuard({ retryPeriod }: ResolvedElectionOptions): SimulatedGuard {
    const { broken, time } = this.#surroundings;
    return new SimulatedGuard({
      time,
      deliver: this.loop.deliver,
      retryPeriod,
      broken: (what) => {
        broken('G5', `the guard of ${this.name} ${what}`);
      },
      toldEnd: (term) => {
        // A term that was lost has been reported by then.
        time.schedule(0, () => {
          if (this.#isOpen(term) && this.#guard?.isEnding(term) === true && this.jobsRunning(term.slot) > 0)
            broken('G5', `${this.name} told its guard that the term ends while gated work ran`);
        });
      },
      failedAtEnd: () => this.#heard.add('LEADER_GUARD_FAILED'),
    });
  }

  #newElector(options: ResolvedElectionOptions): Elector {
    const [first, second] = this.#uses;
    if (first === undefined) throw new Error('A candidate needs a Lease.');
    const useOf = (leaseName: string): LeaseUse =>
      this.#uses.find(({ on }) => on.leaseName === leaseName) ?? first;
    const parts = {
      options,
      clock: this.#clock,
      candidacy: this.#fitness,
      proofOfDeath: this.takeover === 'expiry' ? undefined : this.#witnessedProof(this.#proof),
      guard: this.#guard,
      traceOf: (leaseName: string): ElectionTrace => useOf(leaseName).trace,
    };
    if (second === undefined) {
      const preference = this.#preference;
      const elector = new LeaseElector({
        ...parts,
        lock: first.lock,
        trace: first.trace,
        note: preference && (() => ({ priority: preference.noted })),
      });
      this.#preference?.in(elector);
      this.#spread?.add(elector);
      return elector;
    }
    if (this.#several === 'slots')
      return new SlotElector({ ...parts, locks: this.#uses.map(({ lock }) => lock) });
    return new JointElector({
      ...parts,
      options: { ...options, leaseName: first.on.leaseName },
      lock: first.lock,
      also: { leaseName: second.on.leaseName, lock: second.lock },
    });
  }

  start(): void {
    const { log, broken } = this.#surroundings;
    const { pod, containerId } = this.run;
    this.#preference?.start(({ code }) => this.#told.add(code));
    log(
      `${this.name} starts as '${this.identity}' in ${pod.name}, ${containerId}, takeover ${this.takeover}`,
    );
    this.#elector
      .run(this.#stop.signal, (event) => {
        this.#onEvent(event);
      })
      .then(
        () => {
          if (this.#isExiting) return;
          this.#hasEnded = true;
          log(`${this.name} has ended`);
          this.#preference?.stop();
          this.#checkLeft();
          for (const code of this.#heard)
            if (!this.#told.has(code)) broken('G7', `${this.name} never reported ${code}`);
          if (!this.#stop.signal.aborted && !this.#hasToEnd) broken('G7', `${this.name} gave up campaigning`);
          // Nobody waits for what the guard does after a term that was lost.
          if (this.#clock.timers > 0 && this.#guard?.isEnding() !== true)
            broken('G7', `${this.name} has ended and left ${String(this.#clock.timers)} timer(s)`);
          if (this.#guard !== undefined && this.#guard.left > 0)
            broken('G5', `${this.name} has ended, and its guard was not told that its term had`);
          this.#exitAfterEnd();
        },
        (error: unknown) => {
          broken('G7', `${this.name} failed: ${String(error)}`);
        },
      );
  }

  /** Whoever stops releases its leases, or says that it could not. */
  #checkLeft(): void {
    const { broken } = this.#surroundings;
    if (!this.releases || this.#hasToEnd || this.#told.has('LEADER_RELEASE_FAILED')) return;
    if (this.#uses.some(({ isLeftBehind }) => isLeftBehind))
      broken('G7', `${this.name} has stopped, left its lease behind, and did not say so`);
  }

  get now(): number {
    return this.#clock.now();
  }

  jobsRunning(slot: number): number {
    return this.#isExiting ? 0 : [...this.#jobs].filter(({ term }) => term.slot === slot).length;
  }

  get isDead(): boolean {
    return this.loop.liveness === 'dead';
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isStopping(): boolean {
    return this.#isStopping || this.#isExiting || this.#hasToEnd;
  }

  /** How many Leases its election has. */
  get leases(): number {
    return this.#uses.length;
  }

  /** Whether it stands for its process when processes are counted. */
  get isFirst(): boolean {
    return this.mates[0] === this;
  }

  /** Whether this is one of its Leases. */
  isOn(lease: FleetLease): boolean {
    return this.#uses.some(({ on }) => on === lease);
  }

  /** How often it has opened a watch. */
  get watchesOpened(): number {
    return this.#uses.reduce((sum, use) => sum + use.watchesOpened, 0);
  }

  /** Whether others learn from the status of its pod that it is dead, if nothing goes wrong. */
  get isReported(): boolean {
    const { own, run, takeover } = this;
    const knows = own?.pod !== undefined && own.startedOn !== undefined;
    return takeover === 'podStatus' && knows && run.isRecognisable && !run.pod.isDeleted;
  }

  /** Whether the next instance of its container learns that it is dead. */
  get isReplaced(): boolean {
    const { own, run, takeover } = this;
    return takeover !== 'expiry' && own?.instance !== undefined && !run.pod.traits.sharesProcesses;
  }

  /** The term that the elector's state shows as leading, if any. */
  get term(): LeadershipTerm | undefined {
    const { state } = this.#elector;
    return state.kind === 'leading' ? state.term : undefined;
  }

  showsTerm(term: WitnessedTerm): boolean {
    return this.term?.signal === term.signal;
  }

  /** Looks, as its own code does, whether it leads. The answer must be true. */
  look(): void {
    for (const { on } of this.#uses) on.witness.look(this);
  }

  /** Whether it has lost a term, and must end by itself. */
  get hasToEnd(): boolean {
    return this.#hasToEnd;
  }

  /** Checks that its term has ended at its limit. */
  afterStep(): void {
    const { broken } = this.#surroundings;
    const open = this.#open;
    if (open?.term.signal.aborted !== false || !this.loop.isIdle) return;
    const lateByMs = this.now - open.beganAt - this.termLimit;
    if (lateByMs > ROUNDING_MS)
      broken('G7', `${this.name} goes on ${lateByMs.toFixed(1)} ms after its term has reached its limit`);
  }

  /** Sends SIGTERM. */
  stop(): void {
    this.#spread?.close();
    for (const mate of this.mates) {
      mate.#isStopping = true;
      mate.#told.delete('LEADER_RELEASE_FAILED');
      mate.loop.deliver(() => {
        mate.#stop.abort();
      });
    }
  }

  stepDown(cooldown: number): void {
    void this.#elector.stepDown({ cooldown });
  }

  /** The process does not want to lead for a while. */
  withdraw(forMs: number): void {
    this.#surroundings.log(`${this.name} is not fit to lead for ${forMs.toFixed(0)} ms`);
    this.#fitness.stands = false;
    this.#surroundings.time.schedule(forMs, () => {
      this.beFit();
    });
  }

  /** The process wants to lead again. */
  beFit(): void {
    this.loop.deliver(() => {
      this.#fitness.stands = true;
    });
  }

  /** The application confirms its term again and again, and gives up some of these calls. */
  confirmFor(forMs: number): void {
    const { time } = this.#surroundings;
    this.#confirmsUntil = Math.max(this.#confirmsUntil, time.now + forMs);
    const ask = (): void => {
      if (time.now >= this.#confirmsUntil || this.isDead || this.#hasEnded) return;
      this.#confirm();
      // A second job confirms while the first waits for its answer.
      time.schedule(time.chance.between(0, 3), () => {
        this.#confirm();
      });
      time.schedule(CONFIRM_EVERY_MS, ask);
    };
    ask();
  }

  #confirm(): void {
    const { broken, time } = this.#surroundings;
    const { term } = this;
    if (this.loop.liveness !== 'running' || term === undefined) return;
    const askedAt = time.now;
    const giveUp = new AbortController();
    if (time.chance.happens(0.2)) {
      time.schedule(time.chance.between(0, CONFIRM_EVERY_MS), () => {
        giveUp.abort();
      });
    }
    term.confirm({ signal: giveUp.signal }).then(
      () => {
        for (const { on, readSentAt } of this.#usesOf(term)) {
          on.witness.confirmed(this, askedAt);
          if (readSentAt < askedAt)
            broken('G2', `${this.name} confirmed its term by a read that was sent before it was asked to`);
        }
      },
      () => undefined,
    );
  }

  /** @returns false if it has no priority. */
  prefer(priority: number): boolean {
    if (this.priority === undefined) return false;
    this.priority = priority;
    return true;
  }

  /** @returns false if it has no guard. */
  misguide(kind: (typeof guardFaultKinds)[number], forMs: number): boolean {
    this.#guard?.misbehave(kind, forMs);
    return this.#guard !== undefined;
  }

  healGuard(): void {
    this.#guard?.heal();
  }

  /** The process asks the leader for the lease. @returns whether it could. */
  async ask(): Promise<boolean> {
    return this.#elector instanceof LeaseElector && (await this.#elector.askForLease());
  }

  /** Sends SIGKILL. */
  kill(): void {
    this.#end(137);
  }

  #end(exitCode: ExitCode): void {
    if (this.isDead) return;
    this.loop.kill();
    for (const mate of this.mates) mate.#dies();
    this.run.leave(exitCode);
  }

  #dies(): void {
    this.#proof.end();
    for (const { on } of this.#uses) on.witness.left(this);
    this.#open = undefined;
  }

  /** Some processes exit when their election has ended; others go on with something else. */
  #exitAfterEnd(): void {
    const { time } = this.#surroundings;
    if (this.mates.some(({ hasEnded }) => !hasEnded) || time.chance.happens(0.5)) return;
    time.schedule(time.chance.skewed(LONGEST_AFTER_END_MS), () => {
      this.#end(0);
    });
  }

  /**
   * Calls process.exit(). Nothing of its event loop runs any more, its jobs neither, but listeners of `exit` may run for
   * this long, and ask whether it leads. Meanwhile others send its release.
   */
  exit(forMs: number): void {
    for (const mate of this.mates) mate.#endAtExit();
    this.loop.halt('blocked');
    this.#surroundings.time.schedule(forMs, () => {
      this.#die();
    });
  }

  #endAtExit(): void {
    this.#isExiting = true;
    for (const update of this.#elector.endAtExit?.() ?? []) this.#sendAtExit(update).catch(() => undefined);
  }

  /** As the thread does that sends the release of a process that exits: after a conflict it tries again, if the claim is the same. */
  async #sendAtExit({ lock, base, record }: LeaseUpdate): Promise<void> {
    const use = this.#uses.find((each) => each.lock === lock);
    if (use === undefined) throw new Error('A release is sent to a Lease of the election.');
    const { lease, witness } = use.on;
    const thread = lease.lock(this.name);
    // It keeps the annotations that it finds.
    thread.knowsProcess = false;
    thread.fate = (request) => this.path.fateOf(request);
    const call = { signal: new AbortController().signal, newConnection: true };
    witness.sends(this, record);
    if ((await thread.update(base, record, call)).kind === 'written') return;
    const present = await thread.get(call);
    const { holderIdentity, acquireTime } = base.record;
    if (present?.record.holderIdentity !== holderIdentity || present.record.acquireTime !== acquireTime)
      return;
    witness.sends(this, record);
    await thread.update(present, { ...present.record, ...record }, call);
  }

  /** The last thing that a listener of `exit` does is to ask whether it leads. */
  #die(): void {
    for (const mate of this.mates) mate.look();
    this.#end(1);
  }

  /** The process does not run for a while. `suspended`: its monotonic clock stops as well. */
  halt(how: 'loopBlocked' | 'frozen' | 'suspended'): void {
    this.loop.halt(how === 'loopBlocked' ? 'blocked' : 'frozen');
    if (how === 'suspended') for (const mate of this.mates) mate.#suspend();
  }

  #suspend(): void {
    this.#clock.suspend();
    this.#applicationClock.suspend();
    for (const { requests } of this.#uses) requests.clockJumped();
  }

  go(): void {
    if (this.#isExiting) {
      this.#die();
      return;
    }
    for (const mate of this.mates) mate.#resume();
    this.loop.go();
  }

  #resume(): void {
    this.#clock.resume();
    this.#applicationClock.resume();
    for (const { requests } of this.#uses) requests.resumed();
    // Reads for confirmations may have waited meanwhile.
    if (this.#confirmsUntil > 0)
      this.#confirmsUntil = Math.max(this.#confirmsUntil, this.#surroundings.time.now);
  }

  stepWallClock(byMs: number): void {
    for (const mate of this.mates) {
      mate.#clock.stepWall(byMs);
      if (byMs > 0) for (const { requests } of mate.#uses) requests.clockJumped();
    }
  }

  stallWatch(stalled: boolean): void {
    for (const { bare } of this.#uses) bare.watchStalled = stalled;
  }

  /** The watch shows nothing any more until another one is opened. */
  hangWatch(): void {
    for (const { bare } of this.#uses) bare.hangWatch();
  }

  /** While this is true, watches are refused with 403, as without permission. */
  denyWatch(denied: boolean): void {
    for (const { bare } of this.#uses) {
      bare.watchRefusal = denied ? WATCH_DENIED : undefined;
      if (denied) bare.endWatch(WATCH_DENIED);
    }
  }

  /** Whether one of its watches was refused, and it has not watched since. */
  get isDenied(): boolean {
    return this.#uses.some(({ isDenied }) => isDenied);
  }

  /** Whether one of its watches shows nothing, and must be replaced. */
  get isDeaf(): boolean {
    return this.#uses.some(({ isDeaf }) => isDeaf);
  }

  /** The holder of its only Lease. */
  get holder(): string | undefined {
    return this.#uses[0]?.on.lease.stored?.record.holderIdentity;
  }

  /** The holder of the lease, as the process shows it. */
  get leader(): string | undefined {
    const { state } = this.#elector;
    return state.kind === 'following' ? state.leader : this.identity;
  }

  endWatch(error?: Parameters<SimulatedLeaseLock['endWatch']>[0]): void {
    for (const { bare } of this.#uses) bare.endWatch(error);
  }

  /** Makes a gated call, perhaps when the term is over or about to end. The term decides whether it may run. */
  call(): void {
    const term = this.#newestTerm;
    if (term === undefined || this.#jobs.size >= MOST_JOBS) return;
    const { time, stores } = this.#surroundings;
    try {
      const job = new GatedJob(term, this.#rowOf(term), {
        time,
        clock: this.#applicationClock,
        loop: this.loop,
        stores,
        ended: (ended) => this.#jobs.delete(ended),
      });
      this.#jobs.add(job);
      for (const use of this.#usesOf(term)) use.on.witness.entered(this, this.#seenOn(use, term));
    } catch (error) {
      if (!isLeaderError(error, 'LEADER_TERM_OVER')) throw error;
    }
  }

  /** Each job has its own row, the same row in every term of its slot. */
  #rowOf({ slot }: LeadershipTerm): number {
    return (slot + this.#election) * ROWS_OF_A_SLOT + this.#begun++;
  }

  endJobs(): void {
    if (!this.isDead) for (const job of [...this.#jobs]) job.end();
  }

  get #isConfirming(): boolean {
    return this.#surroundings.time.now < this.#confirmsUntil + this.options.leaseDuration;
  }

  #onEvent(event: ElectionEvent): void {
    const { broken, log, time } = this.#surroundings;
    if (this.#hasEnded) broken('G4', `${this.name} emitted '${event.type}' after it had ended`);
    this.#preference?.onEvent(event);
    switch (event.type) {
      case 'startedLeading':
        log(`${this.name} leads with token ${String(event.term.fencingToken)}`);
        this.#started(event.term);
        if (time.chance.happens(0.7)) this.call();
        this.#spread?.consider();
        break;
      case 'stoppedLeading':
        log(`${this.name} stops leading: ${event.reason}`);
        this.#stopped(event);
        this.#spread?.consider();
        break;
      case 'error':
        this.#told.add(event.error.code);
        break;
      case 'stateChanged':
        if (event.state.kind === 'handingOver' && !event.state.term.signal.aborted)
          broken('G5', `${this.name} hands over and has not told its work to stop`);
        break;
      case 'newLeader':
        this.#spread?.consider();
        // With several Leases the leader is that of the first that has one.
        if (this.#uses.length === 1 && this.#uses[0]?.sights.isPast(event.identity) === true)
          broken(
            'G4',
            `${this.name} reported '${event.identity}' as the new leader, which led before the current one`,
          );
        break;
    }
    if (time.chance.happens(0.01)) throw new Error('A listener of the application throws.');
  }

  #started(term: LeadershipTerm): void {
    const { broken } = this.#surroundings;
    const lastSlot = this.#newestTerm?.slot ?? 0;
    if (this.jobsRunning(lastSlot) > 0 && this.now < this.#lostAt + this.drainTimeout - 1)
      broken('G5', `${this.name} leads again while work of its last term runs`);
    if (this.#guard?.isStarting(this.#guarded(term)) === true)
      broken('G5', `${this.name} announced its term before its guard had finished`);
    if (this.#hasToEnd) broken('G7', `${this.name} leads again, although it exits when it loses a term`);
    const uses = this.#usesOf(term);
    const seen = new Map(uses.map((use) => [use, seenOn(use, term, uses.length)]));
    this.#open = { term, beganAt: this.now, seen };
    for (const [use, its] of seen) {
      use.on.witness.started(this, its, use.isNew);
      use.isNew = false;
    }
    this.#newestTerm = term;
    this.#endedFirst = undefined;
    this.#begun = 0;
  }

  #stopped({ term, reason }: ElectionEvent & { readonly type: 'stoppedLeading' }): void {
    const seen = this.#open?.seen ?? new Map<LeaseUse, WitnessedTerm>();
    this.#open = undefined;
    this.#lostAt = this.now;
    if (this.exitsOnLoss && isLoss(reason)) this.#hasToEnd = true;
    for (const use of this.#usesOf(term)) {
      // A term on two Leases is lost with that on one of them. The other is then handed over.
      if (!isLoss(reason) || use === this.#endedFirst?.use)
        use.on.witness.stopped(this, seen.get(use) ?? term, reason, use.requests);
      else use.on.witness.left(this);
    }
  }

  /** Its use of each Lease on which it has this term. */
  #usesOf({ slot }: LeadershipTerm): readonly LeaseUse[] {
    return this.#several === 'move' ? this.#uses : this.#uses.filter(({ on }) => on.slot === slot);
  }

  /** Its guard must have finished with the term that it hands over. */
  #checkRelease({ slot }: FleetLease): void {
    const { broken } = this.#surroundings;
    const term = this.#newestTerm;
    if (this.#open === undefined || term?.slot !== slot || this.#guard === undefined) return;
    // Nobody waits for the guard of a term that was lost.
    if (this.#endedFirst !== undefined && isLoss(this.#endedFirst.reason)) return;
    if (this.#guard.isEnding(this.#guarded(term)))
      broken('G5', `${this.name} releases before its guard has finished`);
  }

  #isOpen(term: LeadershipTerm): boolean {
    return this.#open !== undefined && (this.#several === 'move' || this.#newestTerm === term);
  }

  /**
   * The term that the guard is told of. With two Leases that is the term on both, so for a term on one of them it is undefined.
   */
  #guarded(term: LeadershipTerm): LeadershipTerm | undefined {
    return this.#several === 'move' && this.#uses.length > 1 ? undefined : term;
  }

  #seenOn(use: LeaseUse, term: LeadershipTerm): WitnessedTerm {
    return this.#open?.seen.get(use) ?? term;
  }

  /** Wraps the proof so that the witness sees who is taken for dead. */
  #witnessedProof(proof: SimulatedProof): ProofOfDeath {
    const { log } = this.#surroundings;
    return {
      get self() {
        return proof.self;
      },
      follow: (process, gone) =>
        proof.follow(process, () => {
          log(`${this.name} takes for dead: ${process}`);
          for (const { on } of this.#uses) on.witness.proven(this, process);
          gone();
        }),
    };
  }
}

/** The term as the witness of one of its Leases sees it. A term on two Leases has a token on each. */
function seenOn({ token: fencingToken }: LeaseUse, term: LeadershipTerm, leases: number): WitnessedTerm {
  if (leases === 1) return term;
  return {
    fencingToken,
    signal: term.signal,
    get isOver() {
      return term.isOver;
    },
  };
}
