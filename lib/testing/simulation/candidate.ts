import {
  LeaseElector,
  isLeaderError,
  resolveElectionOptions,
  sameRecord,
  type ElectionEvent,
  type ElectionOptions,
  type ElectionTrace,
  type LeaderErrorCode,
  type LeadershipTerm,
  type LeaseLock,
  type LeaseSnapshot,
} from '../../election/index.js';
import type { SimulatedClock } from '../simulated-clock.js';
import type { SimulatedLease, SimulatedLeaseLock, SimulatedRequest } from '../simulated-lease.js';
import type { SimulatedTime } from '../simulated-time.js';
import { EventLoop } from './event-loop.js';
import type { FaultKind } from './fault-kinds.js';
import { Fitness } from './fitness.js';
import { GatedJob } from './gated-job.js';
import { LeaderSights } from './leader-sights.js';
import type { Party } from './party.js';
import { Path } from './path.js';
import type { Store } from './stores.js';
import type { Witness } from './witness.js';

/** What a process is given by the fleet. */
export interface CandidateSurroundings {
  readonly time: SimulatedTime;
  readonly lease: SimulatedLease;
  readonly witness: Witness;
  readonly stores: readonly Store[];
  readonly options: ElectionOptions;
  readonly log: (line: string) => void;
  readonly struck: (kind: FaultKind) => void;
  /** Who follows each step of the election of that process. */
  readonly traceOf: ((name: string) => ElectionTrace) | undefined;
}

/** Who it is. */
export interface CandidateTraits {
  readonly name: string;
  readonly identity: string;
  readonly rate: number;
  readonly wallOffsetMs: number;
}

/** Gated work that runs in one process at once, at the most. */
const MOST_JOBS = 4;
/** A leader that is well sends fewer in a minute. */
const MOST_REQUESTS_A_SECOND = 25;
const MOST_WRITES_A_SECOND = 10;
/** How often an application that wants to be sure asks. */
const CONFIRM_EVERY_MS = 50;
/** For how many leases anything is held back on its way, at the most. */
const LONGEST_DELAY_LEASES = 1.5;

/** A process of a simulated fleet that runs one of our electors and does what applications do. */
export class Candidate implements Party {
  readonly name: string;
  readonly identity: string;
  readonly goesByName = false;
  readonly rate: number;
  readonly renewDeadline: number;
  readonly drainTimeout: number;
  /** It gives up its lease when it stops. */
  readonly releases: boolean;
  readonly loop: EventLoop;
  /** The elector's, and one that runs alike for the application: whose timers they are can be told. */
  readonly #clock: SimulatedClock;
  readonly #applicationClock: SimulatedClock;
  readonly path: Path;
  readonly #lock: SimulatedLeaseLock;
  readonly #elector: LeaseElector;
  readonly #fitness = new Fitness();
  readonly #surroundings: CandidateSurroundings;
  readonly #jobs = new Set<GatedJob>();
  readonly #stop = new AbortController();
  readonly #leaseDuration: number;
  /** Failures that reached it, and those it told of. */
  readonly #heard = new Set<LeaderErrorCode>();
  readonly #told = new Set<LeaderErrorCode>();
  readonly #sights = new LeaderSights();
  #newestTerm: LeadershipTerm | undefined;
  #hasEnded = false;
  #isStopping = false;
  /** Jobs begun in the present term: each has a row of its own, the same row in every term. */
  #begun = 0;
  #countedSince = 0;
  #requests = 0;
  #writes = 0;
  /** How often it opened its watch. */
  watchesOpened = 0;
  /** When the newest read that was answered had been sent. */
  #readSentAt = Number.NEGATIVE_INFINITY;
  /** Until when its application asks again and again whether it still leads. */
  #confirmsUntil = 0;
  #troubledUntil = 0;
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
      struck: (kind, forMs) => {
        surroundings.struck(kind);
        this.trouble(forMs);
      },
    });
    this.#lock = lease.lock(traits.name, (callback) => {
      this.path.bring(callback, this.loop.deliver);
    });
    this.#lock.fate = (request) => {
      this.#count(request);
      return this.path.fateOf(request);
    };
    this.#lock.eventFate = (event) => this.path.fateOfEvent(event);
    this.#elector = new LeaseElector({
      lock: this.#witnessed(this.#lock),
      options,
      clock: this.#clock,
      candidacy: this.#fitness,
      trace: surroundings.traceOf?.(traits.name),
    });
  }

  start(): void {
    const { log, witness } = this.#surroundings;
    log(`${this.name} starts as '${this.identity}'`);
    this.#elector
      .run(this.#stop.signal, (event) => {
        this.#onEvent(event);
      })
      .then(
        () => {
          this.#hasEnded = true;
          log(`${this.name} has ended`);
          for (const code of this.#heard)
            if (!this.#told.has(code)) witness.broken('G7', `${this.name} never told of ${code}`);
          if (!this.#stop.signal.aborted) witness.broken('G7', `${this.name} gave up campaigning`);
          if (this.#clock.timers > 0)
            witness.broken('G7', `${this.name} has ended and left ${String(this.#clock.timers)} timer(s)`);
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
    return this.#jobs.size;
  }

  get isDead(): boolean {
    return this.loop.liveness === 'dead';
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** A fault may still be felt: a lease after it has passed. */
  get isTroubled(): boolean {
    return this.#surroundings.time.now < this.#troubledUntil;
  }

  /** The term its elector shows as led, if any. */
  get term(): LeadershipTerm | undefined {
    const { state } = this.#elector;
    return state.kind === 'leading' ? state.term : undefined;
  }

  showsTerm(term: LeadershipTerm): boolean {
    return this.term === term;
  }

  /** Something goes wrong here for that long. */
  trouble(forMs: number): void {
    const until = this.#surroundings.time.now + forMs + 2 * this.#leaseDuration;
    this.#troubledUntil = Math.max(this.#troubledUntil, until);
  }

  /** SIGTERM. */
  stop(): void {
    this.#isStopping = true;
    this.loop.deliver(() => {
      this.#stop.abort();
    });
  }

  stepDown(cooldown: number): void {
    void this.#elector.stepDown({ cooldown });
  }

  /** It does not want to lead for a while. */
  withdraw(forMs: number): void {
    this.#surroundings.log(`${this.name} is not fit to lead for ${forMs.toFixed(0)} ms`);
    this.#fitness.stands = false;
    this.#surroundings.time.schedule(forMs, () => {
      this.beFit();
    });
  }

  /** It wants to lead. */
  beFit(): void {
    this.loop.deliver(() => {
      this.#fitness.stands = true;
    });
  }

  /** Its application asks again and again whether it still leads, and gives some of that up. */
  confirmFor(forMs: number): void {
    const { time } = this.#surroundings;
    this.#confirmsUntil = Math.max(this.#confirmsUntil, time.now + forMs);
    const ask = (): void => {
      if (time.now >= this.#confirmsUntil || this.isDead || this.#hasEnded) return;
      this.#confirm();
      // And another piece of work, while the answer is under way.
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

  /** It would like to have the lease. */
  ask(): void {
    void this.#elector.askForLease();
  }

  /** SIGKILL. */
  kill(): void {
    this.loop.kill();
    this.#surroundings.witness.died(this);
  }

  /** It does not run for a while; `suspended`: its clock does not, either. */
  halt(how: 'loopBlocked' | 'frozen' | 'suspended'): void {
    this.loop.halt(how === 'loopBlocked' ? 'blocked' : 'frozen');
    if (how !== 'suspended') return;
    this.#clock.suspend();
    this.#applicationClock.suspend();
  }

  go(): void {
    this.#clock.resume();
    this.#applicationClock.resume();
    this.loop.go();
  }

  stepWallClock(byMs: number): void {
    this.#clock.stepWall(byMs);
    this.trouble(0);
  }

  stallWatch(stalled: boolean): void {
    this.#lock.watchStalled = stalled;
  }

  endWatch(error?: Parameters<SimulatedLeaseLock['endWatch']>[0]): void {
    this.#lock.endWatch(error);
  }

  /** A gated call comes in, perhaps when the term is over or about to be; whether it is let in is the term's to say. */
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

  /** A loop of requests is what an API server that fails needs least. */
  #count({ verb }: SimulatedRequest): void {
    const { time, witness } = this.#surroundings;
    if (time.now >= this.#countedSince + 1_000) {
      this.#countedSince = time.now;
      this.#requests = 0;
      this.#writes = 0;
    }
    // What the application asks for is its own affair.
    if (verb === 'get' && this.#isConfirming) return;
    this.#requests += 1;
    if (verb !== 'get') this.#writes += 1;
    if (this.#requests === MOST_REQUESTS_A_SECOND)
      witness.broken('G7', `${this.name} sends ${String(MOST_REQUESTS_A_SECOND)} requests in a second`);
    if (verb !== 'get' && this.#writes === MOST_WRITES_A_SECOND)
      witness.broken('G7', `${this.name} sends ${String(MOST_WRITES_A_SECOND)} writes in a second`);
  }

  get #isConfirming(): boolean {
    return this.#surroundings.time.now < this.#confirmsUntil + this.#leaseDuration;
  }

  #onEvent(event: ElectionEvent): void {
    const { log, time, witness } = this.#surroundings;
    if (this.#hasEnded) witness.broken('G4', `${this.name} told of '${event.type}' after it had ended`);
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
        log(`${this.name} leads no more: ${event.reason}`);
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
            `${this.name} told of '${event.identity}' as leader, who was before the one shown`,
          );
        break;
    }
    if (time.chance.happens(0.01)) throw new Error('A listener of the application throws.');
  }

  /** The same lock, with the witness beside it. */
  #witnessed(lock: SimulatedLeaseLock): LeaseLock {
    const { witness } = this.#surroundings;
    const shown = <T extends LeaseSnapshot | undefined>(lease: T, signal?: AbortSignal): T => {
      // A reply to a request that was given up reaches nobody.
      if (signal?.aborted === true) return lease;
      if (lease !== undefined) witness.shows(this, lease);
      this.#sights.note(lease, signal === undefined ? 'event' : 'reply');
      return lease;
    };
    const heard = <T>(asking: Promise<T>): Promise<T> =>
      asking.catch((error: unknown) => {
        const { kind } = this.#elector.state;
        // What comes of a release is told as a whole.
        if (isLeaderError(error) && (kind === 'leading' || (kind === 'following' && !this.#isStopping)))
          this.#heard.add(error.code);
        throw error;
      });
    return {
      describe: () => lock.describe(),
      get: async (call) => {
        const sentAt = this.#surroundings.time.now;
        // Of what fails when the application asks, the application is told.
        const lease = await (this.#isConfirming ? lock.get(call) : heard(lock.get(call)));
        this.#readSentAt = Math.max(this.#readSentAt, sentAt);
        return shown(lease, call.signal);
      },
      create: async (record, call) => {
        witness.sends(this, record);
        const outcome = await heard(lock.create(record, call));
        if (outcome.kind === 'written') shown(outcome.snapshot, call.signal);
        return outcome;
      },
      update: async (base, record, call) => {
        // To ask for a lease is no write of its record.
        if (!sameRecord(base.record, record)) witness.sends(this, record);
        const outcome = await heard(lock.update(base, record, call));
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
            // A Lease that is deleted calls for a write.
            this.#writes -= 1;
          }
          onEvent(event);
        }, signal);
      },
    };
  }
}
