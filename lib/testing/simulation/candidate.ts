import {
  LeaseElector,
  isLeaderError,
  resolveElectionOptions,
  sameRecord,
  type ElectionEvent,
  type ElectionOptions,
  type ElectionTrace,
  type HolderProcess,
  type LeaderErrorCode,
  type LeadershipTerm,
  type LeaseCall,
  type LeaseLock,
  type LeaseRecord,
  type LeaseSnapshot,
  type LeaseUpdate,
  type ProofOfDeath,
  type WriteOutcome,
} from '../../election/internal.js';
import type { SimulatedClock } from '../simulated-clock.js';
import type { SimulatedLease, SimulatedLeaseLock } from '../simulated-lease.js';
import type { SimulatedTime } from '../simulated-time.js';
import { EventLoop } from './event-loop.js';
import type { FaultKind } from './fault-kinds.js';
import { Fitness } from './fitness.js';
import { GatedJob } from './gated-job.js';
import { LeaderSights } from './leader-sights.js';
import type { Party } from './party.js';
import { Path } from './path.js';
import type { RecordRules } from './record-rules.js';
import { RequestHistory, type RequestPurpose } from './request-history.js';
import type { Cluster, ContainerRun, ExitCode } from './pods.js';
import { SimulatedProof, type Takeover } from './simulated-proof.js';
import type { Store } from './stores.js';
import type { Witness } from './witness.js';

/** What the fleet provides to a process. */
export interface CandidateSurroundings {
  readonly time: SimulatedTime;
  readonly lease: SimulatedLease;
  readonly cluster: Cluster;
  readonly witness: Witness;
  readonly stores: readonly Store[];
  readonly options: ElectionOptions;
  readonly log: (line: string) => void;
  readonly struck: (kind: FaultKind, process: string) => void;
  /** A trace of its election. */
  readonly trace: ElectionTrace | undefined;
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
}

/** The most gated jobs that run in one process at a time. */
const MOST_JOBS = 4;
/** How often an application that wants to be sure confirms its term. */
const CONFIRM_EVERY_MS = 50;
/** The longest delay of a request or an event, in leases. */
const LONGEST_DELAY_LEASES = 1.5;
/** How long after its election a process may run. */
const LONGEST_AFTER_END_MS = 1_000;

/** A process of a simulated fleet that runs a LeaseElector and does what applications do. */
export class Candidate implements Party {
  readonly name: string;
  readonly identity: string;
  readonly goesByName = false;
  readonly records: RecordRules;
  readonly rate: number;
  readonly renewDeadline: number;
  readonly drainTimeout: number;
  /** Whether it releases its lease when it stops. */
  readonly releases: boolean;
  readonly run: ContainerRun;
  readonly takeover: Takeover;
  readonly own: HolderProcess | undefined;
  readonly loop: EventLoop;
  /** The elector's clock, and an equal one for the application, so that their timers can be told apart. */
  readonly #clock: SimulatedClock;
  readonly #applicationClock: SimulatedClock;
  readonly path: Path;
  readonly requests: RequestHistory;
  readonly #lock: SimulatedLeaseLock;
  readonly #elector: LeaseElector;
  readonly #proof: SimulatedProof;
  readonly #fitness = new Fitness();
  readonly #surroundings: CandidateSurroundings;
  readonly #jobs = new Set<GatedJob>();
  readonly #stop = new AbortController();
  readonly #leaseDuration: number;
  /** The codes of failures that the elector has met, and of those that it has reported. */
  readonly #heard = new Set<LeaderErrorCode>();
  readonly #told = new Set<LeaderErrorCode>();
  readonly #sights = new LeaderSights();
  #newestTerm: LeadershipTerm | undefined;
  #hasEnded = false;
  #isStopping = false;
  #isExiting = false;
  /** How many jobs have begun in the current term. Each job has its own row, the same row in every term. */
  #begun = 0;
  /** How often the watch was opened. */
  watchesOpened = 0;
  /** When the newest answered read was sent. */
  #readSentAt = Number.NEGATIVE_INFINITY;
  /** Until when the application confirms its term again and again. */
  #confirmsUntil = Number.NEGATIVE_INFINITY;
  #lostAt = Number.NEGATIVE_INFINITY;

  constructor(traits: CandidateTraits, surroundings: CandidateSurroundings) {
    const { time, lease } = surroundings;
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
    this.run.enter();
    this.records = options;
    this.renewDeadline = options.renewDeadline;
    this.drainTimeout = options.drainTimeout;
    this.releases = options.releaseOnCancel;
    this.#leaseDuration = options.leaseDuration;
    this.#surroundings = surroundings;
    this.loop = new EventLoop(time);
    const clock = { rate: traits.rate, wallOffsetMs: traits.wallOffsetMs, deliver: this.loop.deliver };
    this.#clock = time.clock(clock);
    this.#applicationClock = time.clock(clock);
    this.path = new Path({
      time,
      longestDelayMs: LONGEST_DELAY_LEASES * options.leaseDuration,
      struck: (kind) => {
        surroundings.struck(kind, traits.name);
      },
    });
    this.requests = new RequestHistory(options, {
      rate: traits.rate,
      now: () => this.now,
      certainUntil: () => surroundings.witness.certainUntil(this),
      broken: (what) => {
        surroundings.witness.broken('G7', `${this.name} ${what}`);
      },
    });
    this.#lock = lease.lock(traits.name, (callback) => {
      this.path.bring(callback, this.loop.deliver);
    });
    this.#lock.fate = (request) => {
      const fate = this.path.fateOf(request);
      this.requests.meets(fate);
      return fate;
    };
    this.#lock.eventFate = (event) => this.path.fateOfEvent(event);
    this.#proof = new SimulatedProof(traits.own, {
      cluster: surroundings.cluster,
      watchesPods: traits.takeover === 'podStatus',
      deliver: (callback) => {
        this.path.bring(callback, this.loop.deliver);
      },
    });
    this.#elector = new LeaseElector({
      lock: this.#witnessed(this.#lock),
      options,
      clock: this.#clock,
      candidacy: this.#fitness,
      proofOfDeath: traits.takeover === 'expiry' ? undefined : this.#witnessedProof(this.#proof),
      trace: surroundings.trace,
    });
  }

  start(): void {
    const { log, witness } = this.#surroundings;
    const { pod, containerId } = this.run;
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
          if (this.releases && witness.isHeldBy(this) && !this.#told.has('LEADER_RELEASE_FAILED'))
            witness.broken('G7', `${this.name} has stopped, left its lease behind, and did not say so`);
          for (const code of this.#heard)
            if (!this.#told.has(code)) witness.broken('G7', `${this.name} never reported ${code}`);
          if (!this.#stop.signal.aborted) witness.broken('G7', `${this.name} gave up campaigning`);
          if (this.#clock.timers > 0)
            witness.broken('G7', `${this.name} has ended and left ${String(this.#clock.timers)} timer(s)`);
          this.#exitAfterEnd();
        },
        (error: unknown) => {
          witness.broken('G7', `${this.name} failed: ${String(error)}`);
        },
      );
  }

  get now(): number {
    return this.#clock.now();
  }

  get jobsRunning(): number {
    return this.#isExiting ? 0 : this.#jobs.size;
  }

  get isDead(): boolean {
    return this.loop.liveness === 'dead';
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isStopping(): boolean {
    return this.#isStopping || this.#isExiting;
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

  showsTerm(term: LeadershipTerm): boolean {
    return this.term === term;
  }

  /** Sends SIGTERM. */
  stop(): void {
    this.#isStopping = true;
    this.#told.delete('LEADER_RELEASE_FAILED');
    this.loop.deliver(() => {
      this.#stop.abort();
    });
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
    const { time, witness } = this.#surroundings;
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
        witness.confirmed(this, askedAt);
        if (this.#readSentAt < askedAt)
          witness.broken(
            'G2',
            `${this.name} confirmed its term by a read that was sent before it was asked to`,
          );
      },
      () => undefined,
    );
  }

  /** The process asks the leader for the lease. */
  ask(): void {
    void this.#elector.askForLease();
  }

  /** Sends SIGKILL. */
  kill(): void {
    this.#end(137);
  }

  #end(exitCode: ExitCode): void {
    if (this.isDead) return;
    this.loop.kill();
    this.#proof.end();
    this.#surroundings.witness.died(this);
    this.run.leave(exitCode);
  }

  /** Some processes exit when their election has ended; others go on with something else. */
  #exitAfterEnd(): void {
    const { time } = this.#surroundings;
    if (time.chance.happens(0.5)) return;
    time.schedule(time.chance.skewed(LONGEST_AFTER_END_MS), () => {
      this.#end(0);
    });
  }

  /**
   * Calls process.exit(). Nothing of its event loop runs any more, its jobs neither, but listeners of `exit` may run for
   * this long, and ask whether it leads. Meanwhile others send its release.
   */
  exit(forMs: number): void {
    this.#isExiting = true;
    for (const update of this.#elector.endAtExit()) this.#sendAtExit(update).catch(() => undefined);
    this.loop.halt('blocked');
    this.#surroundings.time.schedule(forMs, () => {
      this.#die();
    });
  }

  /** As the thread does that sends the release of a process that exits: after a conflict it tries again, if the claim is the same. */
  async #sendAtExit({ base, record }: LeaseUpdate): Promise<void> {
    const { lease, witness } = this.#surroundings;
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
    this.#surroundings.witness.look(this);
    this.#end(1);
  }

  /** The process does not run for a while. `suspended`: its monotonic clock stops as well. */
  halt(how: 'loopBlocked' | 'frozen' | 'suspended'): void {
    this.loop.halt(how === 'loopBlocked' ? 'blocked' : 'frozen');
    if (how !== 'suspended') return;
    this.#clock.suspend();
    this.#applicationClock.suspend();
    this.requests.clockJumped();
  }

  go(): void {
    if (this.#isExiting) {
      this.#die();
      return;
    }
    this.#clock.resume();
    this.#applicationClock.resume();
    this.requests.resumed();
    // Reads for confirmations may have waited meanwhile.
    if (this.#confirmsUntil > 0)
      this.#confirmsUntil = Math.max(this.#confirmsUntil, this.#surroundings.time.now);
    this.loop.go();
  }

  stepWallClock(byMs: number): void {
    this.#clock.stepWall(byMs);
    if (byMs > 0) this.requests.clockJumped();
  }

  stallWatch(stalled: boolean): void {
    this.#lock.watchStalled = stalled;
  }

  /** The watch shows nothing any more until another one is opened. */
  hangWatch(): void {
    this.#lock.hangWatch();
  }

  get watchHangs(): boolean {
    return this.#lock.watchHangs;
  }

  /** The holder of the lease, as the process shows it. */
  get leader(): string | undefined {
    const { state } = this.#elector;
    return state.kind === 'following' ? state.leader : this.identity;
  }

  endWatch(error?: Parameters<SimulatedLeaseLock['endWatch']>[0]): void {
    this.#lock.endWatch(error);
  }

  /** Makes a gated call, perhaps when the term is over or about to end. The term decides whether it may run. */
  call(): void {
    const term = this.#newestTerm;
    if (term === undefined || this.#jobs.size >= MOST_JOBS) return;
    const { time, stores, witness } = this.#surroundings;
    try {
      const job = new GatedJob(term, this.#begun++, {
        time,
        clock: this.#applicationClock,
        loop: this.loop,
        stores,
        ended: (ended) => this.#jobs.delete(ended),
      });
      this.#jobs.add(job);
      witness.entered(this, term);
    } catch (error) {
      if (!isLeaderError(error, 'LEADER_TERM_OVER')) throw error;
    }
  }

  endJobs(): void {
    if (!this.isDead) for (const job of [...this.#jobs]) job.end();
  }

  get #isConfirming(): boolean {
    return this.#surroundings.time.now < this.#confirmsUntil + this.#leaseDuration;
  }

  #onEvent(event: ElectionEvent): void {
    const { log, time, witness } = this.#surroundings;
    if (this.#hasEnded) witness.broken('G4', `${this.name} emitted '${event.type}' after it had ended`);
    switch (event.type) {
      case 'startedLeading':
        log(`${this.name} leads with token ${String(event.term.fencingToken)}`);
        if (this.#jobs.size > 0 && this.now < this.#lostAt + this.drainTimeout - 1)
          witness.broken('G5', `${this.name} leads again while work of its last term runs`);
        witness.started(this, event.term);
        this.#newestTerm = event.term;
        this.#begun = 0;
        if (time.chance.happens(0.7)) this.call();
        break;
      case 'stoppedLeading':
        log(`${this.name} stops leading: ${event.reason}`);
        witness.stopped(this, event.term, event.reason);
        this.#lostAt = this.now;
        break;
      case 'error':
        this.#told.add(event.error.code);
        break;
      case 'stateChanged':
        if (event.state.kind === 'handingOver' && !event.state.term.signal.aborted)
          witness.broken('G5', `${this.name} hands over and has not told its work to stop`);
        break;
      case 'newLeader':
        if (this.#sights.isPast(event.identity))
          witness.broken(
            'G4',
            `${this.name} reported '${event.identity}' as the new leader, which led before the current one`,
          );
        break;
    }
    if (time.chance.happens(0.01)) throw new Error('A listener of the application throws.');
  }

  /** Wraps the proof so that the witness sees who is taken for dead. */
  #witnessedProof(proof: SimulatedProof): ProofOfDeath {
    const { log, witness } = this.#surroundings;
    return {
      get self() {
        return proof.self;
      },
      follow: (process, gone) =>
        proof.follow(process, () => {
          log(`${this.name} takes for dead: ${process}`);
          witness.proven(this, process);
          gone();
        }),
    };
  }

  /** Why the election reads now. */
  get #purposeOfRead(): RequestPurpose {
    const closes = this.#surroundings.witness.handsOver(this) || this.#isStopping;
    if (this.#isConfirming) return 'aside';
    return closes ? 'releaseRead' : 'read';
  }

  /** Notes a request, and what comes of it. */
  async #noted<T>(
    purpose: RequestPurpose,
    { call, base, record }: { call: LeaseCall; base?: LeaseSnapshot; record?: LeaseRecord },
    send: () => Promise<T>,
  ): Promise<T> {
    const { newConnection, signal } = call;
    const request = this.requests.sent({ purpose, base, record, newConnection, signal });
    try {
      const reply = await send();
      const isConflict = isOutcome(reply) && reply.kind === 'conflict';
      if (!signal.aborted) this.requests.answered(request, isConflict ? 'conflict' : 'success');
      return reply;
    } catch (error) {
      this.requests.failed(request, error, signal.aborted);
      throw error;
    }
  }

  /** Wraps the lock so that the witness sees all requests, replies and events. */
  #witnessed(lock: SimulatedLeaseLock): LeaseLock {
    const { witness } = this.#surroundings;
    const shown = <T extends LeaseSnapshot | undefined>(lease: T, signal?: AbortSignal): T => {
      // Nobody receives a reply to a request that was given up.
      if (signal?.aborted === true) return lease;
      if (lease !== undefined) {
        witness.shows(this, lease);
        this.requests.shown(lease, witness.hasWritten(this, lease));
      }
      this.#sights.note(lease, signal === undefined ? 'event' : 'reply');
      return lease;
    };
    const heard = <T>(asking: Promise<T>): Promise<T> =>
      asking.catch((error: unknown) => {
        const { kind } = this.#elector.state;
        // A release reports its failures in one error.
        if (isLeaderError(error) && (kind === 'leading' || (kind === 'following' && !this.#isStopping)))
          this.#heard.add(error.code);
        throw error;
      });
    return {
      describe: () => lock.describe(),
      get: async (call) => {
        const sentAt = this.#surroundings.time.now;
        // A failure of a confirmation is reported to the application.
        const reading = this.#noted(this.#purposeOfRead, { call }, () => lock.get(call));
        const lease = await (this.#isConfirming ? reading : heard(reading));
        this.#readSentAt = Math.max(this.#readSentAt, sentAt);
        return shown(lease, call.signal);
      },
      create: async (record, call) => {
        witness.sends(this, record);
        const outcome = await heard(this.#noted('write', { call, record }, () => lock.create(record, call)));
        if (outcome.kind === 'written') shown(outcome.snapshot, call.signal);
        return outcome;
      },
      update: async (base, record, call) => {
        // A request for the lease does not change the record.
        const isAsking = sameRecord(base.record, record);
        if (!isAsking) witness.sends(this, record);
        const purpose = record.holderIdentity === '' ? 'release' : 'write';
        const outcome = await heard(
          this.#noted(isAsking ? 'aside' : purpose, { call, base, record }, () =>
            lock.update(base, record, call),
          ),
        );
        if (outcome.kind === 'written') shown(outcome.snapshot, call.signal);
        return outcome;
      },
      watch: (onEvent, signal) => {
        this.watchesOpened += 1;
        return lock.watch((event) => {
          if (event.kind === 'seen') shown(event.snapshot);
          if (event.kind === 'deleted') {
            witness.showsDeletion(this, event.resourceVersion);
            this.#sights.note(undefined, 'event');
          }
          onEvent(event);
        }, signal);
      },
    };
  }
}

function isOutcome(reply: unknown): reply is WriteOutcome {
  return typeof reply === 'object' && reply !== null && 'kind' in reply;
}
