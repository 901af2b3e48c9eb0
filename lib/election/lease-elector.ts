import {
  ALWAYS,
  type Candidacy,
  cooldownIn,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type LeaseUpdate,
  type ProofOfDeath,
  type StepDownOptions,
  type TermGuard,
} from './elector.js';
import type { Clock, Disposer, MonotonicMs } from './clock.js';
import { Driver } from './driver.js';
import { LeaderError, asRequestError } from './errors.js';
import {
  readLease,
  refuseStrangeVersion,
  writeRecord,
  type HolderNote,
  type LeaseCall,
  type LeaseLock,
  type LeaseSnapshot,
  type WatchEvent,
} from './lease.js';
import { campaignAt, termIn } from './life.js';
import {
  describe,
  freeAt,
  newElection,
  noteToAsk,
  patienceOf,
  releaseAtExit,
  step,
  type Election,
  type ElectionTrace,
  type MachineEvent,
  type RequestEffect,
} from './machine.js';
import type { ElectionMeter } from './meter.js';
import type { ResolvedElectionOptions } from './options.js';
import { resendAfterMs } from './pacing.js';
import { LeaseRequests, stopped, type Reply, SharedRead } from './requests.js';
import { ours } from './sight.js';
import { systemClock } from './system-clock.js';
import type { GatedWork, LeadershipTerm } from './term.js';
import { bounded } from './waiting.js';

/** The parts of a {@link LeaseElector}. */
export interface LeaseElectorParts {
  readonly lock: LeaseLock;
  /** From {@link resolveElectionOptions}. */
  readonly options: ResolvedElectionOptions;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
  /** Whether this process wants to lead. Default: always. */
  readonly candidacy?: Candidacy | undefined;
  /** Learns that the holder's process is dead. Default: a lease is waited out. */
  readonly proofOfDeath?: ProofOfDeath | undefined;
  /** Called at the start and end of every term. Default: none. */
  readonly guard?: TermGuard | undefined;
  /** What this process tells others about itself while it holds the lease. Read at each event, so it must be quick. Default: nothing. */
  readonly note?: (() => HolderNote | undefined) | undefined;
  /** The number of its slot in a {@link SlotElector}. Default 0. */
  readonly slot?: number | undefined;
  /** Called with the facts for metrics. Default: none. */
  readonly meter?: ElectionMeter | undefined;
  /** Called with each step; `storyTeller()` turns them into text. It must not call the elector. Default: none. */
  readonly trace?: ElectionTrace | undefined;
  /** @internal The count of the work in its terms. */
  readonly work?: GatedWork | undefined;
}

/**
 * Takes part in the election on one Lease. It runs the machine of machine.ts, which states the guarantees: it sends the
 * machine's requests, keeps its watch open, and feeds replies and watch events back to it.
 */
export class LeaseElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  readonly clock: Clock;
  readonly #lock: LeaseLock;
  readonly #candidacy: Candidacy;
  readonly #proofOfDeath: ProofOfDeath | undefined;
  readonly #retryPeriod: number;
  readonly #driver: Driver<Election, MachineEvent, RequestEffect>;
  readonly #requests: LeaseRequests;
  /** Requests on behalf of users. Their failures do not affect which connection the election uses. */
  readonly #besides: LeaseRequests;
  readonly #looks: SharedRead<LeaseSnapshot | undefined>;
  #watch = new AbortController();
  #unfollow: Disposer = () => undefined;
  #proofHasFailed = false;

  constructor(parts: LeaseElectorParts) {
    const { lock, options, clock = systemClock, candidacy = ALWAYS, proofOfDeath, slot = 0, guard } = parts;
    const { leaseName, identity, retryPeriod } = options;
    this.leaseName = leaseName;
    this.identity = identity;
    this.clock = clock;
    this.#lock = lock;
    this.#candidacy = candidacy;
    this.#proofOfDeath = proofOfDeath;
    this.#retryPeriod = retryPeriod;
    this.#requests = new LeaseRequests(clock);
    this.#besides = new LeaseRequests(clock);
    this.#looks = new SharedRead(clock, resendAfterMs(options), () => this.#look());
    this.#driver = new Driver<Election, MachineEvent, RequestEffect>({
      leaseName,
      identity,
      clock,
      initial: newElection({
        options,
        slot,
        lease: lock.describe(),
        canWatch: lock.watch !== undefined,
        isGuarded: guard !== undefined,
      }),
      step,
      describe,
      stands: () => candidacy.stands,
      process: () => this.#proving(() => proofOfDeath?.self),
      note: parts.note,
      perform: (effect) => {
        this.#perform(effect);
      },
      ended: () => {
        this.#looks.abandon(stopped());
        this.#besides.abortAll();
        this.#requests.abortAll();
      },
      confirm: (term, signal) => this.#confirm(term, signal),
      guard,
      guardMs: retryPeriod,
      meter: parts.meter,
      trace: parts.trace,
      work: parts.work,
    });
  }

  /** The present state. It checks the clocks: a term that has run out is never shown. */
  get state(): ElectorState {
    return this.#driver.shown;
  }

  async run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    await this.#driver.run(signal, observer, () => this.#start());
  }

  async stepDown(options: StepDownOptions = {}): Promise<void> {
    const cooldown = cooldownIn(options) ?? this.#retryPeriod;
    await this.#driver.feedAndAwaitEnd({ type: 'stepDown', cooldown });
  }

  endAtExit(): readonly LeaseUpdate[] {
    if (!this.hasTerm) return [];
    const release = releaseAtExit(this.#driver.state, this.#driver.reading);
    this.#driver.feedLast({ type: 'exit' });
    return release === undefined ? [] : [{ lock: this.#lock, ...release }];
  }

  /** @internal No campaign before this instant: a cool-down, or work of the last term that still runs. */
  get campaignAt(): MonotonicMs {
    return campaignAt(this.#driver.life, this.#driver.work.running);
  }

  /** @internal When the lease may be claimed by what is known of it; undefined while nothing is. */
  get freeAt(): MonotonicMs | undefined {
    return freeAt(this.#driver.state);
  }

  /** @internal Whether there is a term, announced or not. */
  get hasTerm(): boolean {
    return termIn(this.#driver.life.phase) !== undefined;
  }

  /** @internal Whether it leads, or has led and has not noticed yet that its term has run out. */
  get leads(): boolean {
    return this.#driver.life.phase.kind === 'leading';
  }

  /**
   * Asks the holder to hand the lease over. Other candidates with `spread` then leave it to this process. The request is an
   * annotation on the Lease, written conditionally; it does not disturb renewals or extend the holder's lease.
   *
   * @returns whether the annotation was written. False also while this process leads or does not campaign, or if there is no
   * holder.
   */
  async askForLease(): Promise<boolean> {
    return this.#driver.enter(async () => {
      const note = noteToAsk(this.#driver.state, this.#driver.reading);
      if (note === undefined) return false;
      const sentAt = this.clock.now();
      const reply = await this.#send(this.#besides, (call) =>
        writeRecord(this.#lock, note.base, note.record, call),
      );
      this.#driver.feed({ type: 'asked', sentAt, reply });
      return reply.ok && reply.value.kind === 'written';
    });
  }

  #start(): Disposer {
    const disregard = this.#candidacy.observe(() => {
      this.#driver.feed({ type: 'candidacyChanged', ...shownOf(this.#candidacy) });
    });
    this.#driver.feed({ type: 'start', ...shownOf(this.#candidacy) });
    return disregard;
  }

  #perform(effect: RequestEffect): void {
    switch (effect.do) {
      case 'read': {
        const { number, patienceMs } = effect;
        void this.#requests
          .send(patienceMs, (call) => readLease(this.#lock, call))
          .then((reply) => {
            this.#driver.feed({ type: 'readReplied', number, reply });
          });
        return;
      }
      case 'write': {
        const { number, base, record, patienceMs } = effect;
        void this.#requests
          .send(patienceMs, (call) => writeRecord(this.#lock, base, record, call))
          .then((reply) => {
            this.#driver.feed({ type: 'writeReplied', number, reply });
          });
        return;
      }
      case 'openWatch':
        void this.#openWatch(effect.stream);
        return;
      case 'closeWatch':
        this.#watch.abort();
        return;
      case 'followHolder':
        this.#follow(effect.process);
        return;
    }
  }

  #follow(process: string | undefined): void {
    this.#unfollow();
    this.#unfollow = () => undefined;
    if (process === undefined) return;
    const unfollow = this.#proving(() =>
      this.#proofOfDeath?.follow(process, () => {
        this.#driver.feed({ type: 'holderGone', process });
      }),
    );
    this.#unfollow = () => this.#proving(() => unfollow?.());
  }

  /** What the proof of death says; undefined if it throws. Its first error is reported. */
  #proving<T>(ask: () => T): T | undefined {
    try {
      return ask();
    } catch (cause) {
      const message = 'The proof of death threw an error; see its cause. A lease is waited out.';
      if (!this.#proofHasFailed)
        this.#driver.report(new LeaderError('LEADER_LISTENER_FAILED', message, { cause }));
      this.#proofHasFailed = true;
      return undefined;
    }
  }

  async #openWatch(stream: number): Promise<void> {
    const watch = new AbortController();
    this.#watch = watch;
    let problem: unknown;
    try {
      await this.#lock.watch?.((event) => {
        if (event.kind === 'opened') this.#driver.feed({ type: 'watchOpened', stream });
        else this.#showEvent(stream, event);
      }, watch.signal);
    } catch (error) {
      problem = error;
    }
    this.#endWatch(stream, problem);
  }

  #showEvent(stream: number, event: Exclude<WatchEvent, { kind: 'opened' }>): void {
    try {
      const { resourceVersion } = event.kind === 'seen' ? event.snapshot : event;
      refuseStrangeVersion(this.#lock, resourceVersion);
    } catch (problem) {
      this.#endWatch(stream, problem);
      return;
    }
    this.#driver.feed({ type: 'watchShowed', stream, event });
  }

  #endWatch(stream: number, problem: unknown): void {
    this.#driver.feed({
      type: 'watchEnded',
      stream,
      problem: problem === undefined ? undefined : asRequestError(problem),
    });
  }

  #send<T>(requests: LeaseRequests, request: (call: LeaseCall) => Promise<T>): Promise<Reply<T>> {
    return requests.send(patienceOf(this.#driver.state, this.#driver.reading), request);
  }

  /** A read on behalf of a user. It counts as a sighting, but does not affect the pace of the election's own requests. */
  async #look(): Promise<Reply<LeaseSnapshot | undefined>> {
    const sentAt = this.clock.now();
    const reply = await this.#send(this.#besides, (call) => readLease(this.#lock, call));
    this.#driver.feed({ type: 'looked', sentAt, reply });
    return reply;
  }

  async #confirm(term: LeadershipTerm, signal: AbortSignal | undefined): Promise<void> {
    const reply = await bounded({ signal }, () => this.#looks.ask());
    // If the read has ended the term, the caller finds that out by checking the term.
    if (term.isOver || (reply.ok && ours(this.#driver.state.sight) !== undefined)) return;
    throw new LeaderError(
      'LEADER_UNCONFIRMED',
      `Could not confirm that this process still holds '${this.leaseName}'.` +
        (reply.ok ? ' The lease changed meanwhile; try again.' : ` ${reply.error.message}`),
      reply.ok ? undefined : { cause: reply.error },
    );
  }
}

/** What the state shows of a candidacy. */
function shownOf({ objection, abstains = false }: Candidacy): {
  objection: LeaderError | undefined;
  abstains: boolean;
} {
  return { objection, abstains };
}
