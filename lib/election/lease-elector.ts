import {
  ALWAYS,
  type Candidacy,
  cooldownIn,
  type ElectionObserver,
  type Elector,
  type ElectorState,
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
  type LeaseCall,
  type LeaseLock,
  type LeaseSnapshot,
  type WatchEvent,
} from './lease.js';
import { campaignAt, termIn } from './life.js';
import {
  describe,
  newElection,
  noteToAsk,
  patienceOf,
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

/** What a {@link LeaseElector} is made of. */
export interface LeaseElectorParts {
  readonly lock: LeaseLock;
  /** From {@link resolveElectionOptions}. */
  readonly options: ResolvedElectionOptions;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
  /** Whether this process wants to lead. Default: always. */
  readonly candidacy?: Candidacy | undefined;
  /** What is done around every term. Default: nothing. */
  readonly guard?: TermGuard | undefined;
  /** Of which slot, for {@link SlotElector}. Default 0. */
  readonly slot?: number | undefined;
  /** Is told what is worth a figure. Default: none. */
  readonly meter?: ElectionMeter | undefined;
  /** Is told each step; `storyTeller()` makes text of it. It must not call the elector. Default: none. */
  readonly trace?: ElectionTrace | undefined;
  /** @internal What runs in its terms. */
  readonly work?: GatedWork | undefined;
}

/**
 * Takes part in the election on one Lease: the machine of an election (machine.ts, which says what it guarantees), driven by a clock and a
 * lock. Here its requests and its watch are made, and what comes back becomes events.
 */
export class LeaseElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  readonly clock: Clock;
  readonly #lock: LeaseLock;
  readonly #candidacy: Candidacy;
  readonly #retryPeriod: number;
  readonly #driver: Driver<Election, MachineEvent, RequestEffect>;
  readonly #requests: LeaseRequests;
  /** Requests made for users. Their failures do not affect which connection the election uses. */
  readonly #besides: LeaseRequests;
  readonly #looks: SharedRead<LeaseSnapshot | undefined>;
  #watch: AbortController | undefined;

  constructor(parts: LeaseElectorParts) {
    const { lock, options, clock = systemClock, candidacy = ALWAYS, slot = 0, guard } = parts;
    const { leaseName, identity, retryPeriod } = options;
    this.leaseName = leaseName;
    this.identity = identity;
    this.clock = clock;
    this.#lock = lock;
    this.#candidacy = candidacy;
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

  /** What it is doing. Looks at the clocks: a term that ran out is never shown. */
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

  /** @internal No campaign before this: a cool-down, or work of the last term that still runs. */
  get campaignAt(): MonotonicMs {
    return campaignAt(this.#driver.life, this.#driver.work.running);
  }

  /** @internal Has a term, also one that is not announced yet. */
  get hasTerm(): boolean {
    return termIn(this.#driver.life.phase) !== undefined;
  }

  /**
   * Asks whoever holds the lease to hand it over to this process, which it does if its `spread` is set. A note on the
   * Lease, conditional on what was seen of it: it disturbs no renewal and lengthens nobody's hold.
   *
   * @returns whether the note was left; false also while this process leads or does not campaign, and when there is
   * nobody to ask.
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
      this.#driver.feed({ type: 'candidacyChanged', objection: this.#candidacy.objection });
    });
    this.#driver.feed({ type: 'start', objection: this.#candidacy.objection });
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
        this.#watch?.abort();
        return;
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

  /** A read for whoever wants to know now. It is noted like any, and changes nothing about when the election's own go. */
  async #look(): Promise<Reply<LeaseSnapshot | undefined>> {
    const sentAt = this.clock.now();
    const reply = await this.#send(this.#besides, (call) => readLease(this.#lock, call));
    this.#driver.feed({ type: 'looked', sentAt, reply });
    return reply;
  }

  async #confirm(term: LeadershipTerm, signal: AbortSignal | undefined): Promise<void> {
    const reply = await bounded({ signal }, () => this.#looks.ask());
    // What was seen may have ended the term; whoever asked finds that out by looking at it.
    if (term.isOver || (reply.ok && ours(this.#driver.state.sight) !== undefined)) return;
    throw new LeaderError(
      'LEADER_UNCONFIRMED',
      `Whether '${this.leaseName}' is still held could not be read.` +
        (reply.ok ? ' It changed meanwhile; ask again.' : ` ${reply.error.message}`),
      reply.ok ? undefined : { cause: reply.error },
    );
  }
}
