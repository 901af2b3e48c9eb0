import type {
  ElectionOptions,
  ElectionTrace,
  HolderProcess,
  ResolvedElectionOptions,
} from '../../election/internal.js';
import { SimulatedLease, type ServerClocks, type SimulatedChange } from '../simulated-lease.js';
import { SimulatedTime } from '../simulated-time.js';
import { Adversary } from './adversary.js';
import { Candidate } from './candidate.js';
import { ClientGoContender } from './client-go-contender.js';
import type { FaultKind, SimulatedFault } from './fault-kinds.js';
import { Cluster, LONGEST_REPORT_MS, type ContainerRun } from './pods.js';
import { passingFailure } from './request-faults.js';
import type { Takeover } from './simulated-proof.js';
import { Store } from './stores.js';
import { Witness } from './witness.js';

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

/** The bound of a hand-over without faults. It contains no polling period (docs/guarantees.md, G6). */
const CLEAN_HANDOVER_MS = 50;
/** The longest delay of a pod's status, in leases. */
const LONGEST_STATUS_DELAY_LEASES = 1.5;
/** How long a kubelet takes to start a container again, while nothing goes wrong. */
const LONGEST_RESTART_MS = 2_000;
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
/** After how many missed renewals a follower reads in spite of its silent watch, with some time for the read. */
const MISSED_RENEWALS = 2.2;

/**
 * A fleet of replicas on simulated time, with a simulated API server and faults, all drawn from one seed.
 *
 * A run has three parts. First faults occur for a number of leases, and only safety is checked (G1 to G5). Then all
 * faults end, and one process must lead in time (G7). Then follow a clean hand-over and a crash, each with at most
 * one temporary failure: a new leader must follow without a polling period (G6). If no watch reports the hand-over,
 * the leader's renewal rhythm sets the bound.
 */
export class Fleet {
  readonly time: SimulatedTime;
  readonly lease: SimulatedLease;
  readonly witness: Witness;
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
  /** The longest duration that any record has had, in milliseconds. */
  #longestLease = 0;
  /** When the Lease last changed. A request of a dead process may still arrive, and its lease must then run out first. */
  #changedAt = 0;
  #started = 0;
  #steps = 0;
  #stepsAtOnce = 0;
  #healed = false;

  constructor(plan: FleetPlan) {
    this.#plan = plan;
    this.time = new SimulatedTime(plan.seed);
    this.witness = new Witness(this.time);
    this.lease = new SimulatedLease(this.time, {
      latencyMs: 0.5,
      serverClocks: plan.serverClocks,
      onChange: (change) => {
        this.log(`  ${tellChange(change)}`);
        const seconds = change.after?.record.leaseDurationSeconds ?? 0;
        this.#longestLease = Math.max(this.#longestLease, seconds * 1000);
        this.#changedAt = this.time.now;
        this.witness.changed(change);
      },
    });
    this.leaseDuration = plan.options.leaseDuration;
    this.cluster = new Cluster(this.time, LONGEST_STATUS_DELAY_LEASES * this.leaseDuration);
    this.#adversary = new Adversary(this, plan.faults);
  }

  get steps(): number {
    return this.#steps;
  }

  /** Runs all parts; stops at the first violation. */
  async run(): Promise<void> {
    this.#populate();
    await this.#suffer();
    if (!this.#isBroken) await this.#heal();
    if (!this.#isBroken && this.time.chance.happens(0.25)) await this.#lag();
    if (!this.#isBroken) await this.#handOver();
    if (!this.#isBroken && this.time.chance.happens(0.5)) await this.#handOverUnheard();
    if (!this.#isBroken) await this.#crash();
    if (!this.#isBroken) await this.#end();
    if (this.guarded.lost > 0) {
      this.witness.broken(
        'G3',
        `a store that refuses smaller tokens lost ${String(this.guarded.lost)} write(s)`,
      );
    }
  }

  log(line: string): void {
    this.trace.push(`${this.time.now.toFixed(1).padStart(10)}  ${line}`);
  }

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
    return this.candidates.filter((candidate) => candidate.run === run && !candidate.isDead);
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
    this.lease.goDown();
    this.time.schedule(forMs, () => {
      this.lease.comeUp();
    });
  }

  get #isBroken(): boolean {
    return this.witness.violations.length > 0;
  }

  get #alive(): Candidate[] {
    return this.candidates.filter(({ isDead, hasEnded, isStopping }) => !isDead && !hasEnded && !isStopping);
  }

  /** The rate of the slowest clock. */
  get #slowest(): number {
    return Math.min(...this.#alive.map(({ rate }) => rate));
  }

  #populate(): void {
    const { chance } = this.time;
    const size = chance.integer(1, this.#plan.size);
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
    const candidate = new Candidate(
      {
        name,
        identity: identity ?? name,
        rate: apart ? chance.oneOf([slowest, fastest, chance.between(slowest, fastest)]) : 1,
        wallOffsetMs: chance.between(-5_000, 5_000),
        run,
        takeover: takeover ?? this.#anyTakeover(),
        own: takeover === undefined ? this.#knownOf(run.facts) : run.facts,
      },
      {
        time: this.time,
        lease: this.lease,
        cluster: this.cluster,
        witness: this.witness,
        stores: [this.guarded, this.unguarded],
        options: this.#optionsOfOne(),
        log: (line) => {
          this.log(line);
        },
        struck: this.struck,
        trace: this.#plan.traceOf?.(name, () => this.time.now),
      },
    );
    this.candidates.push(candidate);
    candidate.start();
    return candidate;
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

  /** The options of one replica, which may differ from those of others. */
  #optionsOfOne(): ElectionOptions {
    const { chance } = this.time;
    const { leaseDuration } = this.#plan.options;
    return {
      ...this.#plan.options,
      identity: undefined,
      drainTimeout: chance.oneOf([0, leaseDuration / 10, this.#plan.options.drainTimeout]),
      termLimit: chance.happens(0.15) ? 2 * leaseDuration : this.#plan.options.termLimit,
      releaseOnCancel: chance.happens(0.85),
      spread: chance.happens(0.5),
    };
  }

  #startOther(index: number): void {
    const { leaseDuration, renewDeadline, retryPeriod } = this.#plan.options;
    const other = new ClientGoContender({
      name: `go-${String(index)}`,
      time: this.time,
      lease: this.lease,
      witness: this.witness,
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
      if ((liveness === 'running' || liveness === 'blocked') && chance.happens(0.3))
        this.witness.look(candidate);
    }
  }

  async #heal(): Promise<void> {
    this.#healed = true;
    this.log('everything heals');
    this.lease.comeUp();
    this.cluster.heal();
    for (const other of this.#others) other.kill();
    for (const candidate of this.candidates) {
      candidate.path.heal();
      candidate.stallWatch(false);
      candidate.beFit();
      if (candidate.loop.liveness !== 'running') this.#resume(candidate);
      candidate.endJobs();
    }
    if (this.#alive.length < 2) this.start();
    await this.#expectLeader('G7', this.#longestRecovery(), 'after everything has healed');
    // Cool-downs, pauses and requests in flight end. After that nothing may happen.
    await this.#pass(2 * this.leaseDuration + this.#longestRecovery());
    await this.#expectWatches();
  }

  /** Nobody ends a watch that has missed events, or hangs: each process must find that out, and know who leads. */
  async #expectWatches(): Promise<void> {
    const { retryPeriod } = this.#plan.options;
    const withinMs = (LATEST_WATCH_RETRY_PERIODS * retryPeriod) / this.#slowest;
    const until = this.time.now + withinMs;
    const hanging = (): Candidate | undefined => this.#alive.find(({ watchHangs }) => watchHangs);
    while (hanging() !== undefined && !this.#isBroken && (await this.#step(until)));
    const deaf = hanging();
    if (deaf !== undefined)
      this.witness.broken('G7', `${deaf.name} has not replaced a watch that shows nothing`);
    const holder = this.lease.stored?.record.holderIdentity;
    const mistaken = this.#alive.find(({ leader }) => leader !== holder);
    if (mistaken !== undefined)
      this.witness.broken('G7', `${mistaken.name} takes '${String(mistaken.leader)}' for the leader`);
  }

  /** The lease runs out, which the slowest clock notices after the longest pause that was asked for, and is taken. */
  #longestRecovery(): number {
    const { lockDelay, renewDeadline, retryPeriod, jitterFactor } = this.#plan.options;
    const retry = (1.3 + jitterFactor) * retryPeriod;
    return (this.#longestLease + lockDelay + retry + renewDeadline) / this.#slowest + ROUND_TRIPS_MS;
  }

  async #handOver(): Promise<void> {
    const leader = this.#leader();
    // A process that has just given up a term pauses for a retryPeriod.
    await this.#pass((2 * this.#plan.options.retryPeriod) / this.#slowest);
    if (leader === undefined || this.#leader() !== leader) return;
    for (const candidate of this.candidates) candidate.endJobs();
    this.#obstruct(leader);
    await this.#pass(this.time.chance.between(0, 3));
    if (this.#leader() !== leader) return;
    leader.stepDown(this.leaseDuration);
    await this.#expectLeader('G6', CLEAN_HANDOVER_MS, `after ${leader.name} has stepped down`, leader);
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

  /** Watches that lag, but are otherwise fine, must not be opened again and again. */
  async #lag(): Promise<void> {
    const { retryPeriod } = this.#plan.options;
    const lagMs = retryPeriod * this.time.chance.between(1.1, 1.6);
    this.log(`watches lag by ${lagMs.toFixed(0)} ms`);
    for (const candidate of this.#alive) candidate.path.lag(lagMs);
    const before = new Map(this.#alive.map((candidate) => [candidate, candidate.watchesOpened]));
    await this.#pass(LAGGING_RETRY_PERIODS * retryPeriod);
    for (const [candidate, opened] of before) {
      const times = candidate.watchesOpened - opened;
      if (times > MOST_OPENED)
        this.witness.broken('G7', `${candidate.name} opens a watch that lags ${String(times)} times`);
      candidate.path.lag(0);
    }
    await this.#pass(2 * this.leaseDuration);
  }

  /** Watches that are open but silent: followers must notice from the missing renewals. */
  async #handOverUnheard(): Promise<void> {
    const { retryPeriod, renewInterval, renewDeadline } = this.#plan.options;
    // By then a process that has stepped down may lead again, and each follower has seen some renewals.
    await this.#pass((2 * this.leaseDuration + 2 * retryPeriod + 4 * renewInterval) / this.#slowest);
    const leader = this.#leader();
    if (leader === undefined || this.#alive.length < 2) return;
    for (const candidate of this.candidates) {
      candidate.endJobs();
      candidate.hangWatch();
    }
    this.log('all watches are silent');
    leader.stepDown(this.leaseDuration);
    const bound = (MISSED_RENEWALS * renewInterval) / this.#slowest + ROUND_TRIPS_MS;
    if (bound < renewDeadline)
      await this.#expectLeader('G6', bound, `after ${leader.name} has stepped down unheard`, leader);
    await this.#pass(this.leaseDuration);
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
    else if (this.#alive.length < 3) this.start();
    await this.#pass(ROUND_TRIPS_MS);
    leader.kill();
    this.log(`${leader.name} is killed`);
    if (chance.happens(0.5)) for (const candidate of this.#alive) candidate.path.failNextWrite();
    const restartMs = chance.happens(0.5) ? this.#restart(leader.run) : undefined;
    const noticedMs = Math.min(
      this.leaseDuration / this.#slowest,
      watches && leader.isReported ? LONGEST_REPORT_MS : Number.POSITIVE_INFINITY,
      restartMs !== undefined && leader.isReplaced ? restartMs + ROUND_TRIPS_MS : Number.POSITIVE_INFINITY,
    );
    const bound = noticedMs + this.#plan.options.lockDelay / this.#slowest + CLEAN_HANDOVER_MS;
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

  async #end(): Promise<void> {
    for (const candidate of this.candidates) {
      candidate.endJobs();
      if (!candidate.isDead) candidate.stop();
    }
    await this.#pass(2 * this.leaseDuration);
    const { holderIdentity = '' } = this.lease.stored?.record ?? {};
    const left = this.candidates.filter(({ identity, hasEnded }) => hasEnded && identity === holderIdentity);
    // Some may have had the same identity.
    if (left.length > 0 && left.every(({ releases }) => releases))
      this.witness.broken('G6', `${holderIdentity} has stopped and left its lease behind`);
    for (const { name, isDead, hasEnded } of this.candidates)
      if (!isDead && !hasEnded) this.witness.broken('G7', `${name} was told to stop and has not ended`);
  }

  async #expectLeader(
    guarantee: 'G6' | 'G7',
    withinMs: number,
    when: string,
    besides?: Candidate,
  ): Promise<void> {
    const found = (): boolean => {
      const leader = this.#leader();
      return leader !== undefined && leader !== besides;
    };
    const from = this.time.now;
    const until = (): number => withinMs + (guarantee === 'G7' ? Math.max(from, this.#changedAt) : from);
    await this.time.settle();
    while (!found() && !this.#isBroken && (await this.#step(until())));
    if (!found() && !this.#isBroken)
      this.witness.broken(guarantee, `nobody leads ${withinMs.toFixed(0)} ms ${when}`);
  }

  #leader(): Candidate | undefined {
    return this.#alive.find(({ term }) => term !== undefined);
  }

  #resume(candidate: Candidate): void {
    if (candidate.loop.liveness !== 'blocked' && candidate.loop.liveness !== 'frozen') return;
    this.log(`${candidate.name} continues`);
    candidate.go();
    // The first thing its code does, before any timer, is to ask whether it leads.
    this.witness.look(candidate);
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
    if (this.#stepsAtOnce > MOST_STEPS_AT_ONCE)
      this.witness.broken('G7', 'a process is in a loop without end');
    this.witness.afterStep();
    return more;
  }
}

function tellChange({ client = 'by hand', after }: SimulatedChange): string {
  if (after === undefined) return `${client}: deleted`;
  const { holderIdentity, leaseDurationSeconds = 0, renewTime = '' } = after.record;
  return `${client}: version ${after.resourceVersion}, '${holderIdentity}' for ${String(leaseDurationSeconds)} s, ${renewTime}`;
}
