/** Fleets of a coordinated election on simulated time: each is drawn from a seed, with faults, and is checked after each event. */
import {
  LeaseElector,
  LeaseRequestError,
  resolveElectionOptions,
  type ElectionEvent,
  type ElectionOptions,
  type Elector,
  type LeadershipTerm,
  type LeaseSnapshot,
  type MicroTime,
  type ResolvedElectionOptions,
} from '../../../lib/election/internal.js';
import {
  CoordinatedElector,
  LeaseCandidateKeeper,
  type Coordination,
  type LeaseObjectLock,
} from '../../../lib/kubernetes/index.js';
import type { Chance } from '../../../lib/testing/chance.js';
import type { SimulatedClock } from '../../../lib/testing/simulated-clock.js';
import { asRequestFaults } from '../../../lib/testing/simulated-faults.js';
import { SimulatedLease, type SimulatedLeaseLock } from '../../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';
import { EventLoop } from '../../../lib/testing/simulation/event-loop.js';
import {
  guardFaultKinds,
  pathFaultKinds,
  requestFaultKinds,
} from '../../../lib/testing/simulation/fault-kinds.js';
import { Path } from '../../../lib/testing/simulation/path.js';
import { SimulatedGuard } from '../../../lib/testing/simulation/simulated-guard.js';
import type { Guarantee } from '../../../lib/testing/simulation/witness.js';
import { withObjects } from './coordinated-world.js';
import { CoordinatedWitness } from './coordinated-witness.js';
import { ElectionController } from './election-controller.js';
import { SimulatedCandidates, type CandidatePath } from './simulated-candidates.js';

const PATH_FAULTS = pathFaultKinds;
const WATCH_FAULTS = [
  'watchStalled',
  'watchHangs',
  'watchEnded',
  'watchDenied',
  'eventsDelayed',
  'eventsRepeated',
  'eventsDropped',
  'eventsStale',
] as const;
const PROCESS_FAULTS = [
  'loopBlocked',
  'frozen',
  'suspended',
  'wallClockStepped',
  'killed',
  'restarted',
  'stopped',
  'joined',
  'steppedDown',
] as const;
const CONTROLLER_FAULTS = ['controllerDies', 'secondController', 'overthrown', 'candidateDeleted'] as const;
const SERVER_FAULTS = ['serverRestarted', 'candidatesUnserved', 'leaseDeleted'] as const;

/** Every kind of fault that may strike such a fleet. */
export const coordinatedFaults = [
  'storm',
  ...PATH_FAULTS,
  ...WATCH_FAULTS,
  ...PROCESS_FAULTS,
  ...guardFaultKinds,
  ...CONTROLLER_FAULTS,
  ...SERVER_FAULTS,
] as const;
export type CoordinatedFault = (typeof coordinatedFaults)[number];

/** A guarantee of docs/guarantees.md that was broken. */
interface Violation {
  readonly guarantee: Guarantee;
  readonly what: string;
}

/** What became of a seed. */
export interface SeedReport {
  readonly seed: number;
  /** The first; the run ends with it. */
  readonly violation: Violation | undefined;
  readonly story: readonly string[];
  readonly events: number;
  readonly terms: number;
  readonly faults: ReadonlyMap<CoordinatedFault, number>;
}

/** The election to test: a planted fault makes it another than that of `lib`. */
export type CoordinatedElectors = typeof CoordinatedElector;

/** The name of a process' lease. */
const LEASE = { leaseName: 'simulated', leaseNamespace: 'default' };
const USUAL: Partial<ElectionOptions> = {};
const SHORT: Partial<ElectionOptions> = { leaseDuration: 9_000, renewDeadline: 6_000, retryPeriod: 1_000 };
/** The controller overwrites the durations in the Lease with its own. */
const VARIED: readonly Partial<ElectionOptions>[] = [
  USUAL,
  SHORT,
  { leaseDuration: 40_000, renewDeadline: 30_000 },
  { lockDelay: 1_000 },
];
const VERSIONS = ['1.0.0', '1.1.0', '1.2.0'] as const;
const OLDEST = '0.9.0';
/** How long the API server's controller takes at most to give the lease of a dead holder to another, once it has expired. */
const ELECTION_MS = 16_000;
/**
 * How long a hand-over without faults takes at most, with an election in between. A release that meets a write of the
 * controller is tried again after a quarter of `retryPeriod`.
 */
const HAND_OVER_MS = 800;
/** By then whoever has handed over stands again. */
const COOLED_MS = 5_000;
/** How many retry periods may pass until a silent watch is replaced. */
const SILENT_PERIODS = 32;
/** How long a candidate may be missed, if it was deleted while its watch was not open. */
const REFRESH_MS = 62_000;
/** How often an API server without LeaseCandidates is asked whether it has them now. */
const ASK_AGAIN_MS = 300_000;
const LONGEST_JOB_MS = 20_000;

/** The properties of a process. */
interface Traits {
  readonly identity: string;
  readonly version: string;
  readonly isCoordinated: boolean;
  readonly options: Partial<ElectionOptions>;
}

/** One process of a fleet, with its candidate. */
export class FleetProcess {
  readonly name: string;
  readonly identity: string;
  readonly isCoordinated: boolean;
  readonly options: ResolvedElectionOptions;
  readonly loop: EventLoop;
  readonly clock: SimulatedClock;
  readonly path: Path;
  readonly lock: SimulatedLeaseLock;
  readonly candidatePath: CandidatePath;
  readonly elector: Elector;
  readonly guard: SimulatedGuard | undefined;
  /** The uids of the Leases that it was shown. */
  readonly known = new Set<string>();
  /** Whether it has read the Lease, or that there is none. */
  hasSeenLease = false;
  stands = false;
  isWithdrawing = false;
  isStopping = false;
  hasEnded = false;
  jobs = 0;
  /** Until when it cools down, by its own clock. */
  coolsUntil = 0;
  term: LeadershipTerm | undefined;
  readonly #fleet: CoordinatedFleet;
  readonly #keeper: LeaseCandidateKeeper | undefined;
  readonly #stop = new AbortController();
  #cooldown: number | undefined;
  /** By how much its wall clock was set. */
  #steppedMs = 0;

  constructor(fleet: CoordinatedFleet, name: string, traits: Traits, Elector: CoordinatedElectors) {
    const { time, witness } = fleet;
    const { identity, isCoordinated, version } = traits;
    this.#fleet = fleet;
    this.name = name;
    this.identity = identity;
    this.isCoordinated = isCoordinated;
    this.options = resolveElectionOptions({ ...LEASE, ...traits.options }, { ...LEASE, identity });
    this.loop = new EventLoop(time);
    const { deliver } = this.loop;
    this.clock = time.clock({ rate: fleet.someRate(), wallOffsetMs: fleet.someOffset(), deliver });
    this.path = new Path({
      time,
      longestDelayMs: 1.5 * this.options.leaseDuration,
      struck: (kind) => {
        fleet.log(`${name} meets ${kind}`);
      },
    });
    const bring = (callback: () => void): void => {
      this.path.bring(callback, deliver);
    };
    this.lock = fleet.lease.lock(name, bring);
    this.lock.fate = (request) => this.path.fateOf(request);
    this.lock.eventFate = (event) => this.path.fateOfEvent(event);
    this.candidatePath = {
      deliver: bring,
      fate: (verb) =>
        asRequestFaults(this.path.fateOf({ verb, client: name, record: undefined, newConnection: false })),
      eventFate: () =>
        this.lock.watchStalled ? { dropped: true } : this.path.fateOfEvent({ kind: 'opened' }),
    };
    this.guard = fleet.isGuarded
      ? new SimulatedGuard({
          time,
          deliver,
          retryPeriod: this.options.retryPeriod,
          broken: (what) => {
            fleet.broken('G5', `the guard of ${name} ${what}`);
          },
          toldEnd: (term) => {
            // A term that was lost has been reported by then.
            time.schedule(0, () => {
              if (this.term === term && this.guard?.isEnding(term) === true && this.jobs > 0)
                fleet.broken('G5', `the guard of ${name} was told of an end while work ran`);
            });
          },
          failedAtEnd: () => undefined,
        })
      : undefined;
    const lock = this.#observed(withObjects(this.lock), witness);
    this.#keeper = isCoordinated ? this.#newKeeper(lock, version) : undefined;
    const parts = { lock, options: this.options, clock: this.clock, guard: this.guard };
    this.elector =
      this.#keeper === undefined
        ? new LeaseElector(parts)
        : new Elector({ ...parts, coordination: this.#coordination(this.#keeper) });
    void this.elector
      .run(this.#stop.signal, (event) => {
        this.#on(event);
      })
      .then(() => {
        this.hasEnded = true;
      });
  }

  /** Whether it leaves the choice of the holder to the API server. */
  get waitsForChoice(): boolean {
    return this.#keeper?.elects === true;
  }

  /** Whether it runs and was not told to stop. */
  get isWell(): boolean {
    return this.loop.liveness === 'running' && !this.isStopping;
  }

  /** Whether its code would be told now that it leads. */
  get leads(): boolean {
    return this.loop.liveness === 'running' && this.term !== undefined && !this.term.isOver;
  }

  toString(): string {
    const { kind, ...state } = this.elector.state;
    const { watch = '', problems = [] } = 'watch' in state ? state : {};
    const condition = [this.loop.liveness, kind, this.stands ? 'stands' : '', watch && `watch ${watch}`];
    if ('leader' in state) condition.push(`of '${state.leader}'`);
    return `${this.name}: ${[...condition, ...problems.map(({ code }) => code)].filter(Boolean).join(', ')}`;
  }

  stop(): void {
    this.loop.deliver(() => {
      this.isStopping = true;
      this.#stop.abort();
    });
  }

  stepDown(cooldown: number): void {
    if (this.term?.signal.aborted === false) this.#cooldown = cooldown;
    void this.elector.stepDown({ cooldown });
  }

  kill(): void {
    this.loop.kill();
    this.#fleet.witness.died(this);
  }

  stepWall(ms: number): void {
    this.#steppedMs += ms;
    this.clock.stepWall(ms);
  }

  heal(): void {
    const { path, lock, guard } = this;
    path.heal();
    guard?.heal();
    lock.watchStalled = false;
    lock.watchRefusal = undefined;
    this.stepWall(-this.#steppedMs);
    this.resume();
  }

  halt(how: 'loopBlocked' | 'frozen' | 'suspended'): void {
    if (how === 'suspended') this.clock.suspend();
    this.loop.halt(how === 'loopBlocked' ? 'blocked' : 'frozen');
  }

  resume(): void {
    this.clock.resume();
    this.loop.go();
  }

  endWatches(): void {
    this.lock.endWatch();
    this.#fleet.candidates.endWatches(this.candidatePath);
  }

  #newKeeper(lock: LeaseObjectLock, version: string): LeaseCandidateKeeper {
    const { retryPeriod } = this.options;
    return new LeaseCandidateKeeper({
      connection: this.#fleet.candidates.connection(this.candidatePath),
      lock,
      lease: { name: LEASE.leaseName, namespace: LEASE.leaseNamespace, labels: {} },
      identity: this.identity,
      spec: { binaryVersion: version, emulationVersion: version, strategy: 'OldestEmulationVersion' },
      retryPeriod,
      longestWithdrawal: 2 * Math.max(retryPeriod, 1_000),
      clock: this.clock,
    });
  }

  #coordination(keeper: LeaseCandidateKeeper): Coordination {
    return {
      get elects() {
        return keeper.elects;
      },
      get objection() {
        return keeper.objection;
      },
      observe: (changed) => keeper.observe(changed),
      stand: () => {
        if (!this.stands) this.#fleet.log(`${this.name} stands`);
        this.stands = true;
        keeper.stand();
      },
      withdraw: async () => {
        if (this.stands) {
          this.#fleet.log(`${this.name} withdraws`);
          this.isWithdrawing = true;
        }
        this.stands = false;
        await keeper.withdraw();
        this.isWithdrawing = false;
      },
    };
  }

  #observed(lock: LeaseObjectLock, witness: CoordinatedWitness): LeaseObjectLock {
    const shown = <T extends LeaseSnapshot | undefined>(snapshot: T): T => {
      this.hasSeenLease = true;
      if (snapshot !== undefined) this.known.add(snapshot.uid);
      return snapshot;
    };
    return {
      describe: () => lock.describe(),
      get: async (call) => shown(await lock.get(call)),
      create: (record, call, annotations) => {
        witness.sends(this, record);
        return lock.create(record, call, annotations);
      },
      update: (base, record, call) => {
        witness.sends(this, record);
        return lock.update(base, record, call);
      },
      watch: async (onEvent, signal) => {
        await lock.watch?.((event) => {
          if (event.kind === 'seen') shown(event.snapshot);
          if (event.kind === 'deleted') this.hasSeenLease = true;
          onEvent(event);
        }, signal);
      },
    };
  }

  #on(event: ElectionEvent): void {
    const { witness } = this.#fleet;
    if (event.type === 'startedLeading') {
      this.#fleet.log(`${this.name} leads with token ${String(event.term.fencingToken)}`);
      this.term = event.term;
      witness.started(this, event.term);
      this.#work(event.term);
    } else if (event.type === 'stoppedLeading') {
      this.#fleet.log(`${this.name} stops, ${event.reason}`);
      this.term = undefined;
      if (this.#cooldown !== undefined) this.coolsUntil = this.clock.now() + this.#cooldown;
      this.#cooldown = undefined;
      witness.stopped(this, event.term, event.reason);
    }
  }

  /** Does work in a term, which ends when it is told to, or late. */
  #work(term: LeadershipTerm): void {
    if (term.isOver || !this.#fleet.hasJob()) return;
    const leave = term.enter();
    this.jobs += 1;
    const end = (): void => {
      this.jobs -= 1;
      leave();
    };
    const told = (): void => {
      const lateMs = this.#fleet.jobLateMs();
      if (lateMs === 0) end();
      else this.clock.setTimer(lateMs, end);
    };
    term.signal.addEventListener('abort', told, { once: true });
  }
}

/** The processes, the API server and its controllers in one run. */
class CoordinatedFleet {
  readonly time: SimulatedTime;
  readonly lease: SimulatedLease;
  readonly candidates: SimulatedCandidates;
  readonly witness: CoordinatedWitness;
  violation: Violation | undefined;
  readonly story: string[] = [];
  readonly faults = new Map<CoordinatedFault, number>();
  readonly isGuarded: boolean;
  events = 0;
  readonly #seed: number;
  readonly #chance: Chance;
  readonly #Elector: CoordinatedElectors;
  readonly #live: readonly CoordinatedFault[];
  readonly #optionsOf: () => Partial<ElectionOptions>;
  readonly #areVaried: boolean;
  readonly #plainShare: number;
  readonly #isFickle: boolean;
  readonly #rates: readonly [number, number];
  readonly #offsetMs: number;
  readonly #jobShare: number;
  #processes: FleetProcess[] = [];
  #controllers: ElectionController[] = [];
  #started = 0;
  #hasHealed = false;
  #overthrownUntil = 0;

  constructor(seed: number, Elector: CoordinatedElectors, allowed: readonly CoordinatedFault[]) {
    this.#seed = seed;
    this.#Elector = Elector;
    this.time = new SimulatedTime(seed);
    const chance = this.time.chance;
    this.#chance = chance;
    this.witness = new CoordinatedWitness((guarantee, what) => {
      this.broken(guarantee, what);
    });
    this.lease = new SimulatedLease(this.time, {
      onChange: (change) => {
        const { client = 'server', after } = change;
        const { holderIdentity, acquireTime } = after?.record ?? {};
        this.log(
          `${client} writes ${holderIdentity ?? 'nothing'}${acquireTime === undefined ? ' (named)' : ''}`,
        );
        this.witness.changed(change);
        for (const controller of this.#controllers) controller.leaseChanged(after);
      },
    });
    this.candidates = new SimulatedCandidates(this.time, (name, candidate) => {
      for (const controller of this.#controllers) controller.candidateChanged(name, candidate);
    });
    const share = allowed === coordinatedFaults ? chance.between(0.1, 0.6) : 1;
    this.#live = allowed.filter(() => chance.happens(share));
    this.#areVaried = chance.happens(0.25);
    const common = chance.oneOf([USUAL, SHORT]);
    this.#optionsOf = () => (this.#areVaried ? chance.oneOf(VARIED) : common);
    this.#plainShare = !this.#areVaried && chance.happens(0.25) ? 0.4 : 0;
    this.#isFickle = chance.happens(0.3);
    // The clocks run as unevenly as the options allow.
    const bound = Math.sqrt(0.98 * (this.#areVaried ? 40 / 30 : 1.5));
    this.#rates = chance.happens(0.5) ? [1 / bound, bound] : [1, 1];
    this.#offsetMs = chance.oneOf([0, 2_000]);
    this.#jobShare = chance.oneOf([0, 0.5, 1]);
    this.isGuarded = chance.happens(0.3);
  }

  someRate(): number {
    return this.#chance.oneOf([...this.#rates, this.#chance.between(...this.#rates)]);
  }

  someOffset(): number {
    return this.#chance.between(-this.#offsetMs, this.#offsetMs);
  }

  hasJob(): boolean {
    return this.#chance.happens(this.#jobShare);
  }

  jobLateMs(): number {
    return this.#hasHealed || this.#chance.happens(0.5) ? 0 : this.#chance.skewed(LONGEST_JOB_MS);
  }

  log(what: string): void {
    this.story.push(`${(this.time.now / 1_000).toFixed(3).padStart(9)} ${what}`);
  }

  broken(guarantee: Guarantee, what: string): void {
    if (this.violation !== undefined) return;
    this.violation = { guarantee, what };
    this.log(`${guarantee} broken: ${what}`);
    for (const process of this.#processes) this.log(process.toString());
    for (const { metadata, spec } of this.candidates.stored)
      this.log(`candidate ${metadata.name}: ${JSON.stringify(spec)}`);
    this.log(`Lease: ${JSON.stringify(this.lease.stored)}`);
  }

  async run(): Promise<SeedReport> {
    const chance = this.#chance;
    this.#control({ aheadMs: 0, lagMs: 0, isFickle: false });
    const size = chance.integer(2, 5);
    for (let each = 0; each < size; each++) this.#start({});
    await this.#pass(chance.between(10, 3_000));
    const strikes = chance.integer(3, 20);
    for (let each = 0; each < strikes && this.violation === undefined; each++) {
      this.#strike();
      await this.#pass(chance.skewed(12_000));
    }
    if (this.violation === undefined) await this.#heal();
    if (this.violation === undefined) await this.#endOrderly();
    const { violation, story, events, faults } = this;
    return { seed: this.#seed, violation, story, events, faults, terms: this.witness.begun };
  }

  /** Lets time pass, and checks after each event. */
  async #pass(ms: number, until: () => boolean = () => false): Promise<boolean> {
    const end = this.time.now + ms;
    await this.time.settle();
    do {
      this.events += 1;
      this.witness.afterStep(this.#processes);
      if (this.violation !== undefined || until()) return true;
    } while (await this.time.step(end));
    return until();
  }

  async #expect(guarantee: Guarantee, ms: number, what: string, condition: () => boolean): Promise<void> {
    if (!(await this.#pass(ms, condition))) this.broken(guarantee, `${what} not within ${ms.toFixed(0)} ms`);
  }

  #start(traits: Partial<Traits>): FleetProcess {
    this.#started += 1;
    const own = String.fromCharCode(96 + this.#started);
    const {
      identity = !this.#hasHealed && this.#chance.happens(0.05) ? 'a' : own,
      version = this.#chance.oneOf(VERSIONS),
      isCoordinated = !this.#chance.happens(this.#plainShare),
      options = this.#optionsOf(),
    } = traits;
    const name = identity === own ? own : `${own}, named ${identity}`;
    const process = new FleetProcess(
      this,
      name,
      { identity, version, isCoordinated, options },
      this.#Elector,
    );
    this.log(`${name} starts${isCoordinated ? ` with version ${version}` : ', without coordination'}`);
    this.#processes.push(process);
    return process;
  }

  #control(how: { aheadMs: number; lagMs: number; isFickle: boolean }): ElectionController {
    const { time, lease, candidates } = this;
    const controller = new ElectionController({ time, lease, candidates, ...how });
    this.#controllers.push(controller);
    return controller;
  }

  #dismiss(): void {
    for (const controller of this.#controllers.splice(0)) controller.stop();
  }

  #later(ms: number, act: () => void): void {
    this.time.schedule(ms, () => {
      if (!this.#hasHealed) act();
    });
  }

  /** A duration of up to two and a half leases. */
  #while(): number {
    return this.#chance.skewed(37_500);
  }

  #strike(): void {
    const chance = this.#chance;
    const living = this.#processes.filter(({ loop, isStopping }) => loop.liveness !== 'dead' && !isStopping);
    if (living.length === 0) this.#start({});
    if (living.length === 0 || this.#live.length === 0) return;
    const leader = living.find(({ leads }) => leads);
    const victim = leader !== undefined && chance.happens(0.5) ? leader : chance.oneOf(living);
    const kind = chance.oneOf(this.#live);
    if (!this.#suffers(kind, victim)) return;
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
    this.log(`${kind} strikes ${victim.name}`);
  }

  /** @returns whether the fault could strike. */
  #suffers(kind: CoordinatedFault, victim: FleetProcess): boolean {
    const chance = this.#chance;
    const { path, lock } = victim;
    if (isOneOf(PATH_FAULTS, kind)) {
      path.cut(kind, this.#while());
      return true;
    }
    if (isOneOf(PROCESS_FAULTS, kind)) return this.#processSuffers(kind, victim);
    if (isOneOf(SERVER_FAULTS, kind)) return this.#serverSuffers(kind);
    if (isOneOf(CONTROLLER_FAULTS, kind)) return this.#controllerSuffers(kind, victim);
    switch (kind) {
      case 'storm':
        path.storm(requestFaultKinds, chance.oneOf([0.2, 0.5, 0.9]), this.#while());
        return true;
      case 'watchStalled':
        lock.watchStalled = true;
        this.#later(this.#while(), () => {
          lock.watchStalled = false;
        });
        return true;
      case 'watchHangs':
        lock.hangWatch();
        return true;
      case 'watchEnded':
        victim.endWatches();
        return true;
      case 'watchDenied':
        lock.watchRefusal = WATCH_DENIED;
        victim.endWatches();
        this.#later(this.#while(), () => {
          lock.watchRefusal = undefined;
        });
        return true;
      case 'eventsDelayed':
      case 'eventsRepeated':
      case 'eventsDropped':
      case 'eventsStale':
        path.garbleEvents(kind, this.#while());
        return true;
      case 'guardSlow':
      case 'guardFails':
      case 'guardHangs':
        victim.guard?.misbehave(kind, this.#while());
        return victim.guard !== undefined;
    }
  }

  #processSuffers(kind: (typeof PROCESS_FAULTS)[number], victim: FleetProcess): boolean {
    const chance = this.#chance;
    if (victim.loop.liveness !== 'running') return false;
    switch (kind) {
      case 'loopBlocked':
      case 'frozen':
      case 'suspended':
        // Both together could make all clocks of a process wrong.
        if (kind === 'suspended' && this.#live.includes('wallClockStepped')) return false;
        victim.halt(kind);
        this.time.schedule(this.#while(), () => {
          victim.resume();
        });
        return true;
      case 'wallClockStepped':
        victim.stepWall(chance.oneOf([-3_600_000, 3_600_000, chance.between(-3_000, 3_000)]));
        return true;
      case 'killed':
        victim.kill();
        this.#later(this.#while() / 4, () => {
          this.#start({});
        });
        return true;
      case 'restarted': {
        const { identity, isCoordinated } = victim;
        victim.kill();
        this.#later(this.#while() / 4, () => {
          this.#start({ identity, isCoordinated });
        });
        return true;
      }
      case 'stopped':
        victim.stop();
        this.#later(this.#while(), () => {
          this.#start({});
        });
        return true;
      case 'joined':
        if (this.#processes.filter(({ isWell }) => isWell).length > 6) return false;
        this.#start({});
        return true;
      case 'steppedDown':
        victim.stepDown(chance.skewed(8_000));
        return true;
    }
  }

  #controllerSuffers(kind: (typeof CONTROLLER_FAULTS)[number], victim: FleetProcess): boolean {
    const chance = this.#chance;
    switch (kind) {
      case 'controllerDies':
        this.#dismiss();
        this.#later(chance.between(0, ELECTION_MS), () => this.#control(this.#someHow()));
        return true;
      case 'secondController': {
        const second = this.#control(this.#someHow());
        this.#later(this.#while(), () => {
          second.stop();
        });
        return true;
      }
      case 'overthrown':
        if (!victim.leads || this.time.now < this.#overthrownUntil) return false;
        this.#overthrow(victim);
        return true;
      case 'candidateDeleted':
        this.candidates.remove(victim.identity);
        return true;
    }
  }

  /** Others miss renewals. Then the leader is cut off, and a controller gives its lease away. */
  #overthrow(leader: FleetProcess): void {
    const chance = this.#chance;
    const missing = this.#processes.filter((process) => process !== leader && chance.happens(0.7));
    const missedMs = chance.between(0, 12_000);
    this.#overthrownUntil = this.time.now + missedMs + 15_000;
    const cutMs = missedMs + chance.between(5, 500);
    for (const { path } of missing) path.cut('partition', cutMs);
    this.#later(cutMs, () => {
      for (const process of missing) process.endWatches();
    });
    this.#later(missedMs, () => {
      leader.path.cut(chance.oneOf(['partition', 'repliesCut', 'requestsCut']), this.#while());
      const other = this.#control({ aheadMs: 0, lagMs: 0, isFickle: true });
      this.#later(chance.between(10, 6_000), () => {
        other.stop();
      });
    });
  }

  #serverSuffers(kind: (typeof SERVER_FAULTS)[number]): boolean {
    switch (kind) {
      case 'serverRestarted':
        this.lease.goDown();
        this.candidates.goDown();
        this.#dismiss();
        this.#later(this.#while() / 2, () => {
          this.#serve();
          this.#control(this.#someHow());
        });
        return true;
      case 'candidatesUnserved':
        if (!this.candidates.isServed) return false;
        this.candidates.isServed = false;
        this.#dismiss();
        this.#later(this.#while(), () => {
          this.candidates.isServed = true;
          this.#control(this.#someHow());
        });
        return true;
      case 'leaseDeleted':
        // Not guaranteed with durations that differ.
        if (this.#areVaried || this.lease.stored === undefined) return false;
        this.lease.delete();
        return true;
    }
  }

  #serve(): void {
    this.lease.comeUp();
    this.candidates.comeUp();
  }

  #someHow(): { aheadMs: number; lagMs: number; isFickle: boolean } {
    const chance = this.#chance;
    return {
      aheadMs: chance.oneOf([0, 0, 20_000, -20_000]),
      lagMs: chance.oneOf([0, 0, 0, 8_000]),
      isFickle: this.#isFickle && chance.happens(0.5),
    };
  }

  /** Ends every fault. Then somebody leads; without processes that are not coordinated, the one that the server chose. */
  async #heal(): Promise<void> {
    this.#hasHealed = true;
    this.log('everything heals');
    const endsWatches = this.#chance.happens(0.7);
    this.#serve();
    const wasUnserved = this.faults.has('candidatesUnserved');
    if (!this.candidates.isServed) this.candidates.isServed = true;
    this.#dismiss();
    for (const process of this.#processes) {
      process.heal();
      if (endsWatches) process.endWatches();
    }
    if (this.#coordinated.length === 0) this.#start({ isCoordinated: true });
    this.#forgetTheFuture();
    this.#control({ aheadMs: 0, lagMs: 0, isFickle: false });
    this.#stopNamesakes();
    const areSilent =
      !endsWatches || this.faults.has('watchDenied') || this.#processes.some(({ lock }) => lock.watchHangs);
    const silentMs = areSilent ? SILENT_PERIODS * 2_000 + 60_000 : 0;
    const slowest = Math.min(...this.#rates);
    const unservedMs = wasUnserved ? ASK_AGAIN_MS : 0;
    const patienceMs =
      (2 * this.#longestLease + silentMs + unservedMs + LONGEST_JOB_MS) / slowest + 2 * ELECTION_MS;
    await this.#expect(
      'G7',
      patienceMs,
      'after everything has healed somebody leads',
      () => this.#leader !== undefined,
    );
    if (wasUnserved)
      await this.#expect('G7', patienceMs, 'all hear that the API server elects', () =>
        this.#coordinated.every(({ waitsForChoice }) => waitsForChoice),
      );
    for (const process of this.#processes) if (process.isWell && !process.isCoordinated) process.stop();
    await this.#expect(
      'G7',
      patienceMs,
      'the chosen candidate leads',
      () => this.#leader?.isCoordinated === true && this.#leader.identity === this.#chosen,
    );
    const stable = (): boolean => this.#chosen !== undefined && this.#leader?.identity === this.#chosen;
    await this.#pass(2 * this.#longestLease + silentMs / slowest);
    if (!stable()) this.broken('G7', 'nobody leads, a while after everything has healed');
    await this.#expect('G7', REFRESH_MS / slowest, 'each is a candidate', () =>
      this.#coordinated.every(({ identity }) => this.candidates.has(identity)),
    );
  }

  /**
   * What a dead process wrote by a wall clock that was an hour ahead counts for Kubernetes until that hour has passed: its
   * controller compares wall clocks.
   */
  #forgetTheFuture(): void {
    const now = this.time.clock().date();
    for (const { metadata, spec } of this.candidates.stored)
      if (
        Date.parse(spec.renewTime ?? '') > now &&
        !this.#coordinated.some((each) => each.identity === metadata.name)
      )
        this.candidates.remove(metadata.name);
    const { record, carried } = this.lease.stored ?? {};
    if (record !== undefined && Date.parse(record.renewTime ?? '') > now)
      this.lease.edit(
        { ...record, renewTime: new Date(now).toISOString().replace('Z', '000Z') as MicroTime },
        carried,
      );
  }

  /** Processes of one name have one candidate, and may pass it to and fro. All but one of them are told to stop. */
  #stopNamesakes(): void {
    const names = new Set<string>();
    for (const process of this.#coordinated) {
      if (names.has(process.identity)) process.stop();
      else names.add(process.identity);
    }
  }

  /** Without faults the lease changes hands at once; a crash is healed when the lease has expired. */
  async #endOrderly(): Promise<void> {
    const leader = this.#leader;
    if (leader === undefined) return;
    for (const { identity } of this.#processes.filter(({ isWell }) => !isWell))
      if (!this.#coordinated.some((process) => process.identity === identity))
        this.candidates.remove(identity);
    const older = this.#start({ version: OLDEST, isCoordinated: true });
    await this.#expect('G6', HAND_OVER_MS, 'an older candidate leads', () => older.leads);
    await this.#pass(COOLED_MS);
    const cooldown = 3_000;
    this.log(`${older.name} steps down`);
    older.stepDown(cooldown);
    await this.#expect('G6', HAND_OVER_MS, 'another leads after a step-down', () =>
      this.#leadsInsteadOf(older),
    );
    await this.#pass(HAND_OVER_MS);
    await this.#expect(
      'G6',
      cooldown / Math.min(...this.#rates) + HAND_OVER_MS,
      'the oldest leads again',
      () => older.leads,
    );
    await this.#pass(HAND_OVER_MS);
    this.log(`${older.name} is killed`);
    older.kill();
    const crashMs =
      (older.options.leaseDuration + this.#longestLockDelay) / Math.min(...this.#rates) + ELECTION_MS;
    await this.#expect('G7', crashMs, 'another leads after a crash', () => this.#leadsInsteadOf(older));
    this.candidates.remove(older.identity);
    await this.#pass(COOLED_MS);
    const last = this.#leader;
    last?.stop();
    await this.#expect(
      'G6',
      HAND_OVER_MS,
      'another leads after a stop',
      () => this.#coordinated.length === 0 || this.#leadsInsteadOf(last),
    );
    await this.#pass(HAND_OVER_MS);
    const left = this.#processes.filter(({ isWell }) => isWell);
    for (const process of left) process.stop();
    await this.#expect('G7', HAND_OVER_MS, 'all stop', () => left.every(({ hasEnded }) => hasEnded));
    for (const { name, identity } of left)
      if (this.candidates.has(identity)) this.broken('G7', `${name} has stopped and is still a candidate`);
    if (this.lease.stored?.record.acquireTime !== undefined && this.lease.stored.record.holderIdentity !== '')
      this.broken('G6', 'the lease was not released, although all have stopped');
  }

  #leadsInsteadOf(former: FleetProcess | undefined): boolean {
    return this.#leader !== undefined && this.#leader !== former;
  }

  get #coordinated(): FleetProcess[] {
    return this.#processes.filter(({ isWell, isCoordinated }) => isWell && isCoordinated);
  }

  get #leader(): FleetProcess | undefined {
    return this.#processes.find(({ leads }) => leads);
  }

  get #chosen(): string | undefined {
    return this.lease.stored?.record.holderIdentity;
  }

  get #longestLease(): number {
    return Math.max(...this.#processes.map(({ options }) => options.leaseDuration + options.lockDelay));
  }

  get #longestLockDelay(): number {
    return Math.max(...this.#processes.map(({ options }) => options.lockDelay));
  }
}

const WATCH_DENIED = new LeaseRequestError('LEADER_FORBIDDEN', 'Simulated 403.', { maybeCommitted: false });

function isOneOf<T extends string>(list: readonly T[], kind: string): kind is T {
  return (list as readonly string[]).includes(kind);
}

/** Runs the fleet of a seed. */
export function runCoordinatedSeed(
  seed: number,
  Elector: CoordinatedElectors = CoordinatedElector,
  faults: readonly CoordinatedFault[] = coordinatedFaults,
): Promise<SeedReport> {
  return new CoordinatedFleet(seed, Elector, faults).run();
}
