import type {
  ElectionOptions,
  ElectionTrace,
  HolderProcess,
  ResolvedElectionOptions,
} from '../../election/internal.js';
import { SimulatedLease, type ServerClocks, type SimulatedChange } from '../simulated-lease.js';
import { SimulatedTime } from '../simulated-time.js';
import { Adversary } from './adversary.js';
import { Candidate, type CandidateSurroundings, type CandidateTraits } from './candidate.js';
import { ClientGoContender } from './client-go-contender.js';
import type { FaultKind, SimulatedFault } from './fault-kinds.js';
import { Features, HIGHEST_PRIORITY } from './features.js';
import type { FleetLease } from './fleet-lease.js';
import { Cluster, LONGEST_REPORT_MS, type ContainerRun } from './pods.js';
import { passingFailure } from './request-faults.js';
import type { Takeover } from './simulated-proof.js';
import { Store } from './stores.js';
import { Witness, type Guarantee, type Violation } from './witness.js';

/** The plan of one run. */
export interface FleetPlan {
  readonly seed: number;
  readonly options: ResolvedElectionOptions;
  /** The largest number of replicas. */
  readonly size: number;
  /** For how many leases faults occur. */
  readonly leases: number;
  /** Kinds of fault that may occur. */
  readonly faults: readonly FaultKind[];
  /** How slow and how fast a monotonic clock may run. */
  readonly rates: readonly [slowest: number, fastest: number];
  /** Whether some contenders behave like client-go. */
  readonly mixed: boolean;
  /** The clocks of the API servers, if reads say how old a record is. */
  readonly serverClocks: ServerClocks | undefined;
  /** Returns a trace of the election of a process. */
  readonly traceOf: ((name: string, trueTime: () => number) => ElectionTrace) | undefined;
  /** Called with each fault. */
  readonly onFault: ((fault: SimulatedFault) => void) | undefined;
}

/** A process to start. */
export interface Start {
  /** Default: its own. */
  readonly identity?: string | undefined;
  /** The container in which it starts. Default: that of a new pod, or one that has room. */
  readonly run?: ContainerRun | undefined;
  /** Default: any. If it is given, the process knows everything about itself. */
  readonly takeover?: Takeover | undefined;
}

/** On which Leases a process campaigns while a fleet moves to another Lease: never on only the old one beside only the new one. */
type Stage = 'old' | 'both' | 'new';

/** The bound of a hand-over without faults. It contains no polling period (docs/guarantees.md, G6). */
const CLEAN_HANDOVER_MS = 50;
/** The longest delay of a request or an event, in leases. */
const LONGEST_DELAY_LEASES = 1.5;
/** By how much the durations of a replica may differ from those of the plan. */
const SHORTEST_OF_PLAN = 0.5;
const LONGEST_OF_PLAN = 2;
/** The longest delay of a pod's status, in leases. */
const LONGEST_STATUS_DELAY_LEASES = 1.5;
/** How long a kubelet takes to start a container again, while nothing goes wrong. */
const LONGEST_RESTART_MS = 2_000;
/** How long the most preferred process may leave a holder alone that has not handed over, in leases. */
const LONGEST_PAUSE_INTERVALS = 16;
/** How long it takes to ask each further holder, who may work for some leases before it hands over. */
const INTERVALS_TO_ASK = 6;
/** More steps than this at one instant are an endless loop. */
const MOST_STEPS_AT_ONCE = 10_000;
/** The time of a few round trips, and of opening a watch again. */
const ROUND_TRIPS_MS = 200;
/** For how many retry periods watches lag. */
const LAGGING_RETRY_PERIODS = 30;
/** How often a lagging watch may be opened again meanwhile: each time later. */
const MOST_OPENED = 6;
/** The longest time for which a process waits for an event that it misses (ARCHITECTURE.md, rule 9). */
const LATEST_WATCH_RETRY_PERIODS = 32;
/** How many processes the elections of one fleet are spread over when it starts. */
const FEWEST_TO_SPREAD_OVER = 2;
const MOST_TO_SPREAD_OVER = 4;
/** How long a process takes for its next move, how long it waits for a holder, and how long it then leaves that alone. */
const SPREAD_MOVE_MS = 200 + 30_000 + 60_000;
/** How long a process that may not watch waits at most until it tries again, with some time for the request. */
const DENIED_WATCH_RETRY_PERIODS = 46;
/** After how many missed renewals a follower reads in spite of its silent watch, with some time for the read. */
const MISSED_RENEWALS = 2.2;

/**
 * A fleet of replicas on simulated time, with a simulated API server and faults, all drawn from one seed.
 *
 * A run has three parts. First faults occur for a number of leases, and only safety is checked (G1 to G5). Then all
 * faults end, and one process must lead in time (G7). Then follow a clean hand-over and a crash, each with at most
 * one temporary failure: a new leader must follow without a polling period (G6). If no watch reports the hand-over,
 * the leader's renewal rhythm sets the bound. A fleet whose processes take part in several elections has another third
 * part: the elections are spread evenly over the processes, and then stay where they are (G7).
 */
export class Fleet {
  readonly time: SimulatedTime;
  /** Its Leases: one; one for each slot or each election; or the old and the new one, while it moves. */
  readonly leases: readonly FleetLease[];
  readonly violations: Violation[] = [];
  readonly features: Features;
  readonly cluster: Cluster;
  readonly candidates: Candidate[] = [];
  readonly leaseDuration: number;
  readonly guarded = new Store({ guarded: true });
  readonly unguarded = new Store({ guarded: false });
  readonly faults = new Map<FaultKind, number>();
  readonly trace: string[] = [];
  readonly #plan: FleetPlan;
  readonly #adversary: Adversary;
  readonly #others: ClientGoContender[] = [];
  /** The processes whose terms have a limit. */
  readonly #limited: Candidate[] = [];
  /** The longest duration that any record has had, in milliseconds. */
  #longestLease = 0;
  /** On which Leases each process campaigns, while the fleet moves. */
  readonly #stages = new Map<Candidate, Stage>();
  /** The newest version of any Lease. */
  #version = 0;
  #started = 0;
  #steps = 0;
  #stepsAtOnce = 0;
  #healed = false;

  constructor(plan: FleetPlan) {
    this.#plan = plan;
    this.time = new SimulatedTime(plan.seed);
    this.features = new Features(plan.seed, plan.options.retryPeriod);
    this.leases = this.#newLeases();
    this.leaseDuration = plan.options.leaseDuration;
    this.cluster = new Cluster(this.time, LONGEST_STATUS_DELAY_LEASES * this.leaseDuration);
    this.#adversary = new Adversary(this, plan.faults);
  }

  get steps(): number {
    return this.#steps;
  }

  /** How many terms began. A term on two Leases counts twice. */
  get terms(): number {
    return this.leases.reduce((sum, { witness }) => sum + witness.terms, 0);
  }

  /** Runs all parts; stops at the first violation. */
  async run(): Promise<void> {
    this.#populate();
    await this.#suffer();
    if (!this.#isBroken) await this.#heal();
    if (this.features.elections > 1) await this.#expectSpread();
    else await this.#handOverAndCrash();
    if (!this.#isBroken) await this.#end();
    if (this.guarded.lost > 0)
      this.#broken('G3', `a store that refuses smaller tokens lost ${String(this.guarded.lost)} write(s)`);
  }

  async #handOverAndCrash(): Promise<void> {
    if (!this.#isBroken && this.features.has('priority')) await this.#prefer();
    if (!this.#isBroken && this.time.chance.happens(0.3)) await this.#give();
    if (!this.#isBroken && this.time.chance.happens(0.25)) await this.#lag();
    if (!this.#isBroken) await this.#handOver();
    if (!this.#isBroken && this.time.chance.happens(0.5)) await this.#handOverUnheard();
    if (!this.#isBroken) await this.#crash();
  }

  log(line: string): void {
    this.trace.push(`${this.time.now.toFixed(1).padStart(10)}  ${line}`);
  }

  /** Reports a broken guarantee. */
  readonly #broken = (guarantee: Guarantee, what: string): void => {
    this.violations.push({ guarantee, at: this.time.now, what });
  };

  /** Counts a fault, of this process or of none. */
  readonly struck = (kind: FaultKind, process?: string): void => {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
    this.#plan.onFault?.({ kind, process, at: this.time.now });
  };

  /** Stops a process for a while. */
  halt(candidate: Candidate, how: 'loopBlocked' | 'frozen' | 'suspended', forMs: number): void {
    this.log(`${candidate.name} is ${how} for ${forMs.toFixed(0)} ms`);
    candidate.halt(how);
    this.time.schedule(forMs, () => {
      this.#resume(candidate);
    });
  }

  /** Starts a new process later, with the given identity or its own. */
  startLater(delayMs: number, identity: string | undefined): void {
    this.later(delayMs, () => {
      this.start({ identity });
    });
  }

  /** Does something later, unless everything has healed by then. */
  later(delayMs: number, action: () => void): void {
    this.time.schedule(delayMs, () => {
      if (!this.#healed) action();
    });
  }

  /** The processes that live in this instance of a container. */
  membersOf(run: ContainerRun): Candidate[] {
    return this.candidates.filter(({ run: its, isDead, isFirst }) => its === run && !isDead && isFirst);
  }

  /** The container ends, with all of its processes. */
  killContainer(run: ContainerRun): void {
    for (const member of this.membersOf(run)) {
      this.log(`${member.name} is killed`);
      member.kill();
    }
    run.end(137);
  }

  restartServer(forMs: number): void {
    this.log(`the API server goes down for ${forMs.toFixed(0)} ms`);
    for (const { lease } of this.leases) lease.goDown();
    this.time.schedule(forMs, () => {
      this.#bringServerUp();
    });
  }

  #bringServerUp(): void {
    for (const { lease } of this.leases) lease.comeUp();
  }

  #newLeases(): FleetLease[] {
    const { slots, hasTwoLeases, elections } = this.features;
    if (hasTwoLeases) return this.#twoLeases();
    if (elections > 1)
      return Array.from({ length: elections }, (_, index) => this.#newLease(`simulated-${String(index)}`, 0));
    return Array.from({ length: slots }, (_, slot) =>
      this.#newLease(slots === 1 ? 'simulated' : `simulated-${String(slot)}`, slot),
    );
  }

  #twoLeases(): FleetLease[] {
    return [this.#newLease('simulated-old', 0), this.#newLease('simulated-new', 0)];
  }

  /** The versions are those of one cluster. */
  #newLease(leaseName: string, slot: number): FleetLease {
    const witness = new Witness(this.time, slot, this.violations);
    const isOnly = leaseName === 'simulated';
    const lease = new SimulatedLease(this.time, {
      latencyMs: 0.5,
      serverClocks: this.#plan.serverClocks,
      nextVersion: () => ++this.#version,
      onChange: (change) => {
        this.log(`  ${isOnly ? '' : `${leaseName}, `}${tellChange(change)}`);
        const seconds = change.after?.record.leaseDurationSeconds ?? 0;
        this.#longestLease = Math.max(this.#longestLease, seconds * 1000);
        on.changedAt = this.time.now;
        on.writtenBy = change.client;
        witness.changed(change);
      },
    });
    const on: FleetLease = { leaseName, slot, lease, witness, changedAt: 0, writtenBy: undefined };
    return on;
  }

  get #isBroken(): boolean {
    return this.violations.length > 0;
  }

  get #alive(): Candidate[] {
    return this.candidates.filter(({ isDead, hasEnded, isStopping }) => !isDead && !hasEnded && !isStopping);
  }

  get #processes(): Candidate[] {
    return this.#alive.filter(({ isFirst }) => isFirst);
  }

  /** The longest of these durations of the living processes. Each is measured by the clock of its process. */
  #longest(durationOf: (options: ResolvedElectionOptions) => number): number {
    return Math.max(0, ...this.#alive.map(({ options, rate }) => durationOf(options) / rate));
  }

  get #longestDelay(): number {
    return LONGEST_DELAY_LEASES * this.leaseDuration;
  }

  #populate(): void {
    const { chance } = this.time;
    const size =
      this.features.elections > 1
        ? chance.integer(FEWEST_TO_SPREAD_OVER, MOST_TO_SPREAD_OVER)
        : chance.integer(1, this.#plan.size);
    for (let index = 0; index < size; index++) this.start();
    if (!this.#plan.mixed) return;
    for (let index = chance.integer(1, 2); index > 0; index--) this.#startOther(index);
  }

  start({ identity, run = this.#anyRun(), takeover }: Start = {}): Candidate {
    this.#started += 1;
    const { chance } = this.time;
    const name = `replica-${String(this.#started)}`;
    const [slowest, fastest] = this.#plan.rates;
    const apart = this.#adversary.isLive('ratesApart');
    if (apart) this.struck('ratesApart', name);
    const stage = this.#anyStage();
    const traits: Omit<CandidateTraits, 'leases'> = {
      name,
      identity: identity ?? name,
      ...this.#featuresOfOne(),
      several: stage === undefined ? 'slots' : 'move',
      mates: [],
      isSpread: this.features.elections > 1,
      rate: apart ? chance.oneOf([slowest, fastest, chance.between(slowest, fastest)]) : 1,
      wallOffsetMs: chance.between(-5_000, 5_000),
      run,
      takeover: takeover ?? this.#anyTakeover(),
      own: takeover === undefined ? this.#knownOf(run.facts) : run.facts,
    };
    const surroundings: CandidateSurroundings = {
      time: this.time,
      cluster: this.cluster,
      stores: [this.guarded, this.unguarded],
      options: this.#optionsOfOne(),
      longestDelayMs: this.#longestDelay,
      log: (line) => {
        this.log(line);
      },
      struck: this.struck,
      broken: this.#broken,
      traceOf: (leaseName) =>
        this.#plan.traceOf?.(
          this.leases.length === 1 ? name : `${name} on ${leaseName}`,
          () => this.time.now,
        ),
    };
    const elections = this.features.elections > 1 ? this.leases.map((on) => [on]) : [this.#leasesOf(stage)];
    const [first] = elections.map((leases) => {
      const candidate = new Candidate({ ...traits, leases }, surroundings);
      this.candidates.push(candidate);
      if (stage !== undefined) this.#stages.set(candidate, stage);
      this.#noteFeatures(candidate);
      return candidate;
    });
    if (first === undefined) throw new Error('A process needs an election.');
    for (const candidate of first.mates) candidate.start();
    return first;
  }

  /** A container for a new process: one that has room, or that of a new pod. */
  #anyRun(): ContainerRun {
    const { chance } = this.time;
    const room = this.cluster.pods.map(({ run }) => run).filter(({ hasRoom }) => hasRoom);
    if (room.length > 0 && chance.happens(0.6)) return chance.oneOf(room);
    return this.cluster.createPod({
      sharesProcesses: chance.happens(0.15),
      isManaged: chance.happens(0.3),
      hasSidecar: chance.happens(0.3),
      restarts: chance.happens(0.75),
    }).run;
  }

  #anyTakeover(): Takeover {
    return this.time.chance.oneOf(['expiry', 'sameContainer', 'podStatus', 'podStatus']);
  }

  /** What a process knows of these facts about itself. Some parts may be unknown. */
  #knownOf(facts: HolderProcess): HolderProcess | undefined {
    const { chance } = this.time;
    switch (chance.integer(0, 19)) {
      case 0:
        return undefined;
      case 1:
        return { ...facts, pod: undefined };
      case 2:
        return { ...facts, instance: undefined };
      case 3:
        return { ...facts, startedOn: undefined };
      default:
        return facts;
    }
  }

  /** A stage that may stand beside those of the processes that live. */
  #anyStage(): Stage | undefined {
    if (!this.features.hasTwoLeases) return undefined;
    const present = new Set([...this.#stages].filter(([{ isDead }]) => !isDead).map(([, stage]) => stage));
    const others: Stage[] = (['old', 'new'] as const).filter((stage) => present.has(stage));
    return this.time.chance.oneOf<Stage>(others.length === 0 ? ['old', 'both', 'new'] : [...others, 'both']);
  }

  #leasesOf(stage: Stage | undefined): readonly FleetLease[] {
    switch (stage) {
      case undefined:
      case 'both':
        return this.leases;
      case 'old':
        return this.leases.slice(0, 1);
      case 'new':
        return this.leases.slice(1);
    }
  }

  #featuresOfOne(): Pick<CandidateTraits, 'isGuarded' | 'priority'> {
    const { chance } = this.time;
    return {
      isGuarded: this.features.has('guard') && chance.happens(0.7),
      priority: this.features.has('priority') ? chance.integer(0, HIGHEST_PRIORITY) : undefined,
    };
  }

  #noteFeatures(candidate: Candidate): void {
    const { isGuarded, exitsOnLoss, options, priority, reclaims, spreads, takeover, termLimit } = candidate;
    if (isGuarded) this.features.note('guard');
    if (exitsOnLoss) this.features.note('onLostExit');
    if (priority !== undefined) this.features.note('priority');
    if (reclaims) this.features.note('reclaimOwnLease');
    if (spreads) this.features.note('spread');
    if (takeover !== 'expiry') this.features.note('proofOfDeath');
    if (options.leaseDuration !== this.leaseDuration) this.features.note('ownDurations');
    if (termLimit > 0) this.features.note('termLimit');
    if (termLimit > 0) this.#limited.push(candidate);
  }

  /** The options of one replica, which may differ from those of others. */
  #optionsOfOne(): ElectionOptions {
    const { chance } = this.time;
    const { leaseDuration } = this.#plan.options;
    const options: ElectionOptions = {
      ...this.#plan.options,
      ...this.#durationsOfOne(),
      identity: undefined,
      drainTimeout: chance.oneOf([0, leaseDuration / 10, this.#plan.options.drainTimeout]),
      termLimit: chance.happens(0.15) ? 2 * leaseDuration : this.#plan.options.termLimit,
      releaseOnCancel: chance.happens(0.85),
      // Not together with priorities.
      spread: chance.happens(0.5) && !this.features.has('priority'),
      lockDelay: this.#lockDelay,
      reclaimOwnLease: this.features.has('reclaimOwnLease'),
      onLost: this.features.has('onLostExit') && chance.happens(0.5) ? 'exit' : 'campaign',
    };
    if (this.features.elections === 1) return options;
    // Each process stands for all elections, and nothing but an uneven spread moves them.
    return { ...options, termLimit: 0, spread: true, onLost: 'campaign' };
  }

  /**
   * The durations of one replica, if it has its own. In each, renewDeadline and retryPeriod are at most the parts of
   * leaseDuration and renewDeadline that they are in the plan, so that the rates of the clocks stay within their bound.
   */
  #durationsOfOne(): Partial<ElectionOptions> {
    if (!this.features.has('ownDurations')) return {};
    const { chance } = this.time;
    const { leaseDuration, renewDeadline, renewInterval, retryPeriod } = this.#plan.options;
    const ofPlan = chance.between(SHORTEST_OF_PLAN, LONGEST_OF_PLAN);
    const own = Math.max(Math.round((ofPlan * leaseDuration) / 1000), 1) * 1000;
    const deadline = (own / leaseDuration) * renewDeadline * chance.between(0.6, 1);
    const part = deadline / renewDeadline;
    return {
      leaseDuration: own,
      renewDeadline: deadline,
      renewInterval: part * renewInterval,
      retryPeriod: part * retryPeriod * chance.between(0.5, 1),
    };
  }

  get #lockDelay(): number {
    return this.#plan.options.lockDelay || this.features.lockDelay;
  }

  #startOther(index: number): void {
    const { leaseDuration, renewDeadline, retryPeriod } = this.#plan.options;
    const { lease, witness } = this.anyLease();
    const other = new ClientGoContender({
      name: `go-${String(index)}`,
      time: this.time,
      lease,
      witness,
      log: (line) => {
        this.log(line);
      },
      leaseDuration,
      renewDeadline,
      retryPeriod,
    });
    this.#others.push(other);
    other.start();
  }

  async #suffer(): Promise<void> {
    const { chance } = this.time;
    const until = this.time.now + this.#plan.leases * this.leaseDuration;
    while (this.time.now < until && !this.#isBroken) {
      await this.#pass(chance.happens(0.3) ? chance.between(0, 50) : chance.skewed(this.leaseDuration));
      this.#adversary.strike();
      this.#useApplications();
      if (this.#alive.length === 0) this.start();
    }
  }

  /** Makes gated calls, and lets applications look whether they lead, even in the middle of a busy loop. */
  #useApplications(): void {
    const { chance } = this.time;
    for (const candidate of this.candidates) {
      const { liveness } = candidate.loop;
      if (liveness === 'running' && chance.happens(0.4)) candidate.call();
      if ((liveness === 'running' || liveness === 'blocked') && chance.happens(0.3)) candidate.look();
    }
  }

  /** One of its Leases. */
  anyLease(): FleetLease {
    const [first, second] = this.leases;
    return first !== undefined && second === undefined ? first : this.time.chance.oneOf(this.leases);
  }

  async #heal(): Promise<void> {
    this.#healed = true;
    this.log('everything heals');
    this.#bringServerUp();
    this.cluster.heal();
    for (const other of this.#others) other.kill();
    for (const candidate of this.candidates) {
      candidate.path.heal();
      candidate.stallWatch(false);
      candidate.denyWatch(false);
      candidate.beFit();
      candidate.healGuard();
      if (candidate.loop.liveness !== 'running') this.#resume(candidate);
      candidate.endJobs();
    }
    while (this.#processes.length < this.features.slots + 1) this.start();
    await this.#expectLeader('G7', this.#recoveryOfAll(), 'after everything has healed');
    // Cool-downs, pauses and requests in flight end. After that nothing may happen.
    await this.#pass(2 * this.leaseDuration + this.#longestRecovery());
    for (const { name, hasToEnd, hasEnded, isDead } of this.candidates)
      if (hasToEnd && !hasEnded && !isDead)
        this.#broken('G7', `${name} has lost a term and goes on, although onLost is 'exit'`);
    await this.#expectWatches();
    // Processes that had to end are replaced. Each waits out the leases that it sees.
    if (this.#processes.length > this.features.slots) return;
    while (this.#processes.length < this.features.slots + 1) this.start();
    await this.#pass(this.#recoveryOfAll());
  }

  /** The most preferred process comes to lead, whoever leads now. */
  async #prefer(): Promise<void> {
    const alive = this.#alive;
    const highest = Math.max(...alive.map(({ priority }) => priority ?? 0));
    const intervals = LONGEST_PAUSE_INTERVALS + alive.length * INTERVALS_TO_ASK;
    const interval = this.#longest(({ leaseDuration }) => Math.max(leaseDuration, this.leaseDuration));
    const until = this.time.now + intervals * interval;
    const found = (): boolean => this.#leader()?.priority === highest;
    while (!found() && !this.#isBroken && (await this.#step(until)));
    if (!found() && !this.#isBroken)
      this.#broken('G7', `nobody with the highest priority, ${String(highest)}, has come to lead`);
  }

  /** Nobody ends a watch that has missed events, or hangs: each process must find that out, and know who leads. */
  async #expectWatches(): Promise<void> {
    const from = this.time.now;
    for (const candidate of this.#alive) {
      const periodMs = candidate.options.retryPeriod / candidate.rate;
      await this.#expectNot(
        () => candidate.isDeaf,
        from + LATEST_WATCH_RETRY_PERIODS * periodMs,
        `${candidate.name} has not replaced a watch that shows nothing`,
      );
      await this.#expectNot(
        () => candidate.isDenied,
        from + DENIED_WATCH_RETRY_PERIODS * periodMs,
        `${candidate.name} has not tried again to watch`,
      );
    }
    // In an election with several Leases the leader is that of the first that has one.
    if (this.features.slots > 1 || this.features.hasTwoLeases) return;
    const mistaken = this.#alive.find(({ holder, leader }) => leader !== holder);
    if (mistaken !== undefined)
      this.#broken('G7', `${mistaken.name} takes '${String(mistaken.leader)}' for the leader`);
  }

  async #expectNot(is: () => boolean, until: number, what: string): Promise<void> {
    while (is() && !this.#isBroken && (await this.#step(until)));
    if (is() && !this.#isBroken) this.#broken('G7', what);
  }

  /** The lease runs out, which the slowest process notices after the longest pause that was asked for, and is taken. */
  #longestRecovery(): number {
    const slowest = this.#longest(
      ({ leaseDuration, lockDelay, renewDeadline, retryPeriod, jitterFactor }) => {
        const retry = (1.3 + jitterFactor) * retryPeriod;
        return Math.max(this.#longestLease, leaseDuration) + lockDelay + retry + renewDeadline;
      },
    );
    return slowest + ROUND_TRIPS_MS;
  }

  /** A process claims one Lease after the other, and a request of a dead process may still arrive at each. */
  #recoveryOfAll(): number {
    const { length } = this.leases;
    const lateMs = length === 1 ? 0 : this.#longestDelay;
    return (this.#longestRecovery() + lateMs) * (this.features.elections > 1 ? 1 : length);
  }

  async #handOver(): Promise<void> {
    const leader = this.#leader();
    const leaders = this.#leaders;
    // A process that has just given up a term pauses for a retryPeriod.
    await this.#pass(this.#longest(({ retryPeriod }) => 2 * retryPeriod));
    if (leader === undefined || this.#leaders !== leaders) return;
    for (const candidate of this.candidates) candidate.endJobs();
    this.#obstruct(leader);
    await this.#pass(this.time.chance.between(0, 3));
    if (this.#leaders !== leaders) return;
    leader.stepDown(this.leaseDuration);
    await this.#expectLeader('G6', CLEAN_HANDOVER_MS, `after ${leader.name} has stepped down`, leader);
  }

  /** The elections are spread evenly over the processes, and then nothing moves them any more. */
  async #expectSpread(): Promise<void> {
    const moveMs = this.#longest(() => SPREAD_MOVE_MS);
    const until = this.time.now + this.leases.length * moveMs;
    const isOver = (): boolean => this.#isSpread() || this.#isBroken;
    while (!isOver()) {
      while (!isOver() && (await this.#step(until)));
      if (!isOver()) this.#broken('G7', `the elections are not spread evenly: ${this.#leaders}`);
      // Requests that are under way arrive.
      await this.#pass(ROUND_TRIPS_MS);
    }
    const { terms } = this;
    await this.#pass(moveMs);
    if (this.terms > terms) this.#broken('G7', 'an election moves although all are spread evenly');
  }

  /** Whether no process leads two elections more than another, and nobody has asked for one. */
  #isSpread(): boolean {
    const led = this.#processes.map(({ mates }) => mates.filter(({ term }) => term !== undefined).length);
    const isAskedFor = this.leases.some(({ lease }) => lease.stored?.record.wantedBy !== undefined);
    return this.#isLed() && !isAskedFor && Math.max(...led) <= Math.min(...led) + 1;
  }

  /** Causes a temporary failure for each process that may follow. */
  #obstruct(leader: Candidate): void {
    const { chance } = this.time;
    for (const candidate of this.#alive) {
      if (candidate === leader) continue;
      const obstacle = chance.oneOf(['none', 'watch', 'claim']);
      if (obstacle === 'watch')
        candidate.endWatch(chance.happens(0.5) ? passingFailure(chance).error : undefined);
      if (obstacle === 'claim') candidate.path.failNextWrite();
      if (obstacle !== 'none') this.log(`${candidate.name}'s ${obstacle} fails once`);
    }
  }

  /** A process that asks for the lease gets it, although others want it, too. */
  async #give(): Promise<void> {
    const leader = this.#leader();
    const asker = this.#alive.find((candidate) => candidate !== leader);
    // A leader without spread gives its lease to anybody.
    if (leader?.spreads !== true || asker === undefined || this.leases.length > 1) return;
    for (const candidate of this.candidates) candidate.endJobs();
    this.log(`${asker.name} asks ${leader.name} for the lease`);
    // A renewal that is under way may come before the request.
    const refused: Candidate[] = [];
    void asker.ask().then((asked) => {
      if (!asked) refused.push(asker);
    });
    const until = this.time.now + CLEAN_HANDOVER_MS;
    while (asker.term === undefined && !this.#isBroken && (await this.#step(until)));
    if (asker.term === undefined && !this.#isBroken && refused.length === 0)
      this.#broken(
        'G6',
        `${asker.name} asked for the lease and did not get it in ${String(CLEAN_HANDOVER_MS)} ms`,
      );
  }

  /** Watches that lag, but are otherwise fine, must not be opened again and again. */
  async #lag(): Promise<void> {
    const lagPeriods = this.time.chance.between(1.1, 1.6);
    this.log(`watches lag by ${lagPeriods.toFixed(2)} retry periods`);
    for (const { options, path } of this.#alive) path.lag(options.retryPeriod * lagPeriods);
    const before = new Map(this.#alive.map((candidate) => [candidate, candidate.watchesOpened]));
    await this.#pass(
      LAGGING_RETRY_PERIODS * Math.min(...this.#alive.map(({ options }) => options.retryPeriod)),
    );
    for (const [candidate, opened] of before) {
      const times = candidate.watchesOpened - opened;
      if (times > MOST_OPENED * candidate.leases)
        this.#broken('G7', `${candidate.name} opens a watch that lags ${String(times)} times`);
      candidate.path.lag(0);
    }
    await this.#pass(2 * this.leaseDuration);
  }

  /** Watches that are open but silent, or refused: followers must notice from the missing renewals, or poll. */
  async #handOverUnheard(): Promise<void> {
    const isDenied = this.time.chance.happens(0.3);
    // By then a process that has stepped down may lead again, and each follower has seen some renewals.
    await this.#pass(
      this.#longest(
        ({ retryPeriod, renewInterval }) => 2 * this.leaseDuration + 2 * retryPeriod + 4 * renewInterval,
      ),
    );
    const leader = this.#leader();
    if (leader === undefined || this.#alive.length < 2) return;
    for (const candidate of this.candidates) {
      candidate.endJobs();
      if (isDenied) candidate.denyWatch(true);
      else candidate.hangWatch();
    }
    this.log(`all watches are ${isDenied ? 'refused' : 'silent'}`);
    if (isDenied) await this.#pass(ROUND_TRIPS_MS);
    if (leader.term === undefined) return;
    leader.stepDown(this.leaseDuration);
    const { renewDeadline, renewInterval } = leader.options;
    const noticedMs = this.#longest(({ retryPeriod, jitterFactor }) =>
      isDenied ? (1 + jitterFactor) * retryPeriod * this.leases.length : MISSED_RENEWALS * renewInterval,
    );
    const bound = noticedMs + ROUND_TRIPS_MS;
    if (bound < renewDeadline)
      await this.#expectLeader('G6', bound, `after ${leader.name} has stepped down unheard`, leader);
    for (const candidate of this.candidates) candidate.denyWatch(false);
    // Each follower misses the renewals of the new leader.
    const missedMs = this.#longest(({ renewInterval: each }) => MISSED_RENEWALS * each);
    await this.#pass(Math.max(this.leaseDuration, missedMs));
    await this.#expectWatches();
  }

  async #crash(): Promise<void> {
    const leader = this.#leader();
    if (leader === undefined) return;
    await this.#pass(this.time.chance.between(0, this.leaseDuration));
    if (this.#leader() !== leader) return;
    const { chance } = this.time;
    const watches = chance.happens(0.5);
    if (watches) this.start({ takeover: 'podStatus' });
    else if (this.#alive.length < this.features.slots + 2) this.start();
    await this.#pass(ROUND_TRIPS_MS);
    // It may have been asked for its lease, and a slot may still be free.
    if (leader.term === undefined || !this.#isLed()) return;
    leader.kill();
    this.log(`${leader.name} is killed`);
    if (chance.happens(0.5)) for (const candidate of this.#alive) candidate.path.failNextWrite();
    const restartMs = chance.happens(0.5) ? this.#restart(leader.run) : undefined;
    const namesakeMs = leader.reclaims && chance.happens(0.7) ? this.#startNamesake(leader) : undefined;
    // Who learns of the death may have to wait for a process that is about to lead both Leases. That one may have to wait out
    // the other Lease, from when it started.
    const learns = !this.features.hasTwoLeases;
    // A process that starts meanwhile may have the slowest clock of all.
    const slowest = this.#adversary.isLive('ratesApart') ? this.#plan.rates[0] : 1;
    const expiredMs = learns
      ? leader.options.leaseDuration / slowest
      : LONGEST_RESTART_MS + this.#longestLease / slowest;
    const noticedMs = Math.min(
      expiredMs,
      learns && watches && leader.isReported ? LONGEST_REPORT_MS : Number.POSITIVE_INFINITY,
      learns && restartMs !== undefined && leader.isReplaced
        ? restartMs + ROUND_TRIPS_MS
        : Number.POSITIVE_INFINITY,
    );
    const bound = Math.min(
      noticedMs + this.#lockDelay / slowest + CLEAN_HANDOVER_MS,
      learns && namesakeMs !== undefined ? namesakeMs + ROUND_TRIPS_MS : Number.POSITIVE_INFINITY,
    );
    await this.#expectLeader('G6', bound, `after ${leader.name} was killed`, leader);
    await this.#pass(LONGEST_RESTART_MS);
  }

  /** The kubelet starts the container of a dead process again. Returns after how long, or undefined if it does not. */
  #restart({ isRunning, pod }: ContainerRun): number | undefined {
    if (isRunning || !pod.traits.restarts) return undefined;
    const delayMs = this.time.chance.between(100, LONGEST_RESTART_MS);
    this.time.schedule(delayMs, () => {
      this.start({ run: pod.startAgain(), takeover: 'sameContainer' });
    });
    return delayMs;
  }

  /** A process with the identity of a dead one starts. Returns after how long. */
  #startNamesake({ identity }: Candidate): number {
    const delayMs = this.time.chance.between(0, LONGEST_RESTART_MS);
    this.time.schedule(delayMs, () => {
      this.start({ identity });
    });
    return delayMs;
  }

  async #end(): Promise<void> {
    for (const candidate of this.candidates) {
      candidate.endJobs();
      if (!candidate.isDead) candidate.stop();
    }
    await this.#pass(2 * this.leaseDuration);
    for (const on of this.leases) {
      const { lease, writtenBy } = on;
      const { holderIdentity = '' } = lease.stored?.record ?? {};
      const writer = this.candidates.find((each) => each.name === writtenBy && each.isOn(on));
      if (holderIdentity !== '' && writer?.hasEnded === true && writer.releases)
        this.#broken('G6', `${writer.name} has stopped and left its lease behind`);
    }
    for (const { name, isDead, hasEnded } of this.candidates)
      if (!isDead && !hasEnded) this.#broken('G7', `${name} was told to stop and has not ended`);
  }

  async #expectLeader(
    guarantee: 'G6' | 'G7',
    withinMs: number,
    when: string,
    besides?: Candidate,
  ): Promise<void> {
    const found = (): boolean => this.#isLed(besides);
    const from = this.time.now;
    const [first, second] = this.leases;
    // A request of a dead process may still arrive, and its lease must then run out first.
    const latest = second === undefined ? from + this.#longestDelay : from;
    const since = (): number => Math.min(latest, Math.max(from, first?.changedAt ?? 0));
    const until = (): number => withinMs + (guarantee === 'G7' ? since() : from);
    await this.time.settle();
    while (!found() && !this.#isBroken && (await this.#step(until())));
    if (!found() && !this.#isBroken)
      this.#broken(guarantee, `nobody leads ${withinMs.toFixed(0)} ms ${when}`);
  }

  /** Whether everything is led by others than this process. Each process leads at most one slot. */
  #isLed(besides?: Candidate): boolean {
    const others = this.#alive.filter((candidate) => candidate !== besides);
    if (this.features.elections > 1)
      return this.leases.every((on) => others.some((each) => each.isOn(on) && each.term !== undefined));
    const { slots } = this.features;
    // The limit of its term may end that of another slot meanwhile.
    const handsOver = (each: Candidate): boolean =>
      slots > 1 && this.leases.some(({ witness }) => witness.handsOver(each));
    const holders = others.filter((each) => each.term !== undefined || handsOver(each));
    return holders.length >= Math.min(slots, Math.max(1, others.length));
  }

  /** The names of all who lead. */
  get #leaders(): string {
    return this.#alive
      .filter(({ term }) => term !== undefined)
      .map(({ name }) => name)
      .join(', ');
  }

  #leader(): Candidate | undefined {
    return this.#alive.find(({ term }) => term !== undefined);
  }

  #resume(candidate: Candidate): void {
    if (candidate.loop.liveness !== 'blocked' && candidate.loop.liveness !== 'frozen') return;
    this.log(`${candidate.name} continues`);
    candidate.go();
    // The first thing its code does, before any timer, is to ask whether it leads.
    for (const mate of candidate.mates) mate.look();
  }

  async #pass(ms: number): Promise<void> {
    const until = this.time.now + ms;
    await this.time.settle();
    while (!this.#isBroken && (await this.#step(until)));
  }

  async #step(until: number): Promise<boolean> {
    const before = this.time.now;
    const more = await this.time.step(until);
    this.#steps += 1;
    this.#stepsAtOnce = this.time.now === before ? this.#stepsAtOnce + 1 : 0;
    if (this.#stepsAtOnce > MOST_STEPS_AT_ONCE) this.#broken('G7', 'a process is in a loop without end');
    for (const { witness } of this.leases) witness.afterStep();
    for (const candidate of this.#limited) candidate.afterStep();
    return more;
  }
}

function tellChange({ client = 'by hand', after }: SimulatedChange): string {
  if (after === undefined) return `${client}: deleted`;
  const { holderIdentity, leaseDurationSeconds = 0, renewTime = '' } = after.record;
  return `${client}: version ${after.resourceVersion}, '${holderIdentity}' for ${String(leaseDurationSeconds)} s, ${renewTime}`;
}
