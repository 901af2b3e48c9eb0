import { Alarm, onAbort } from '../waiting.js';
import { Announcer } from '../driver.js';
import { captureContext } from '../current-term.js';
import {
  ALWAYS,
  type Candidacy,
  cooldownIn,
  type ElectionEvent,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type LeaseUpdate,
  type ProofOfDeath,
  type StepDownOptions,
  type TermGuard,
} from '../elector.js';
import { NEVER, earlier, type Clock, type Disposer, type MonotonicMs } from '../clock.js';
import { campaignsIn, conditionOf } from '../several-leases/condition.js';
import { LeaderError, alreadyStarted } from '../errors.js';
import { LeaderNews, leaderIn } from '../several-leases/leader-news.js';
import { LeaseElector } from '../lease-elector.js';
import type { HolderNote, LeaseLock } from '../lease.js';
import { unfailingMeter, type ElectionMeter } from '../meter.js';
import type { ResolvedElectionOptions } from '../options.js';
import { NO_CHOICE, chooseSlot, emptySince, unledAt, type SlotView } from './slot-choice.js';
import type { ElectionTrace } from '../machine.js';
import { systemClock } from '../system-clock.js';
import { isLoss, type LeadershipTerm } from '../term.js';

/** The parts of a {@link SlotElector}. */
export interface SlotElectorParts {
  /** One lock for each slot, each on its own Lease. */
  readonly locks: readonly LeaseLock[];
  /** The options of every slot. Their Leases are named `leaseName-0` and so on. */
  readonly options: ResolvedElectionOptions;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
  /** Whether this process wants to lead. Default: always. */
  readonly candidacy?: Candidacy | undefined;
  /** Learns that a holder's process is dead. Default: a lease is waited out. */
  readonly proofOfDeath?: ProofOfDeath | undefined;
  /** What this process tells others about itself while it holds a lease. Default: nothing. */
  readonly note?: (() => HolderNote | undefined) | undefined;
  /** Called at the start and end of every term of any slot. Default: none. */
  readonly guard?: TermGuard | undefined;
  /** Returns the meter of a slot, given the name of its Lease. Default: none. */
  readonly meterOf?: (leaseName: string) => ElectionMeter | undefined;
  /** Returns the trace of a slot's election, given the name of its Lease. Default: none. */
  readonly traceOf?: ((leaseName: string) => ElectionTrace) | undefined;
}

/** The election of one slot, and whether this process stands in it. */
class Slot implements Candidacy {
  readonly elector: LeaseElector;
  readonly measure: ElectionMeter;
  readonly #index: number;
  readonly #parent: Candidacy;
  #chosen = false;
  #changed: () => void = () => undefined;

  constructor(index: number, lock: LeaseLock, parts: SlotElectorParts, parent: Candidacy) {
    this.#index = index;
    this.#parent = parent;
    const { options, clock, proofOfDeath, note, guard, meterOf, traceOf } = parts;
    const leaseName = slotLeaseName(options.leaseName, index);
    const meter = meterOf?.(leaseName);
    // A meter that throws is reported by the elector, which calls it, too.
    this.measure = unfailingMeter(meter, () => undefined);
    this.elector = new LeaseElector({
      lock,
      options: { ...options, leaseName },
      clock,
      candidacy: this,
      proofOfDeath,
      note,
      guard,
      slot: index,
      meter,
      trace: traceOf?.(leaseName),
    });
  }

  get stands(): boolean {
    return this.#chosen && this.#parent.stands;
  }

  /** Only the first slot shows the objection, so that observers see it once. */
  get objection(): LeaderError | undefined {
    return this.#index === 0 ? this.#parent.objection : undefined;
  }

  get abstains(): boolean {
    return this.#parent.abstains === true;
  }

  observe(changed: () => void): Disposer {
    this.#changed = changed;
    return () => {
      this.#changed = () => undefined;
    };
  }

  /** Sets whether this process stands for the slot. */
  choose(chosen: boolean): void {
    if (chosen === this.#chosen) return;
    this.#chosen = chosen;
    this.#changed();
  }

  /** Call this when the candidacy of the whole elector has changed. */
  parentChanged(): void {
    this.#changed();
  }

  get view(): SlotView {
    const { state, freeAt, campaignAt, hasTerm: held } = this.elector;
    const { leader, expiresAt } = state.kind === 'following' ? state : { leader: '', expiresAt: undefined };
    return { held, leader, freeAt: expiresAt === undefined ? undefined : freeAt, campaignAt };
  }
}

/** How many lease durations a slot may be free before that is reported. A replica that starts or restarts needs less. */
const UNLED_LEASE_DURATIONS = 2;

/** The name of a slot's Lease. */
export function slotLeaseName(leaseName: string, slot: number): string {
  return `${leaseName}-${String(slot)}`;
}

/**
 * Takes part in an election of several leaders. Each slot has a Lease and an election of its own, with its own terms and
 * tokens. A process stands for one slot at a time, and leads at most one.
 *
 * A late reply may still win a second slot. Its term is handed over at once and is not announced.
 */
export class SlotElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  readonly clock: Clock;
  readonly #slots: readonly Slot[];
  readonly #candidacy: Candidacy;
  readonly #retryPeriod: number;
  readonly #onLost: 'campaign' | 'exit';
  readonly #alarm: Alarm;
  #emptySince: readonly (MonotonicMs | undefined)[] = [];
  /** For how long a slot may be free, in milliseconds. */
  readonly #longestFree: number;
  /** The slots that were reported as free, and still are. */
  #reported: readonly number[] = [];
  readonly #unledAlarm: Alarm;
  #announcer = new Announcer(() => undefined);
  #phase: 'idle' | 'running' | 'stopped' = 'idle';
  #choice = NO_CHOICE;
  /** The slot whose term is shown. */
  #shown: Slot | undefined;
  /** The term that was announced last. */
  #announced: LeadershipTerm | undefined;
  readonly #leaderNews = new LeaderNews((event) => {
    this.#announcer.tell(event);
  });
  #leave: () => void = () => undefined;

  constructor(parts: SlotElectorParts) {
    const { locks, options, clock = systemClock, candidacy = ALWAYS } = parts;
    this.leaseName = options.leaseName;
    this.identity = options.identity;
    this.#candidacy = candidacy;
    this.clock = clock;
    this.#retryPeriod = options.retryPeriod;
    this.#onLost = options.onLost;
    this.#longestFree = UNLED_LEASE_DURATIONS * options.leaseDuration;
    this.#slots = locks.map((lock, index) => new Slot(index, lock, parts, candidacy));
    this.#unledAlarm = new Alarm(clock, () => {
      this.#reportUnled();
    });
    this.#alarm = new Alarm(clock, () => {
      // This process has stood for the chosen slot long enough.
      this.#choice = NO_CHOICE;
      this.#choose();
    });
  }

  /** The state of the slot that this process leads; otherwise `following`, with a leader if any slot has one. */
  get state(): ElectorState {
    if (this.#phase !== 'running') return { kind: this.#phase };
    const shown = this.#shown?.elector.state;
    if (shown?.kind === 'leading' || shown?.kind === 'handingOver') return shown;
    return this.#following();
  }

  async run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    if (this.#phase !== 'idle') throw alreadyStarted(this.leaseName);
    this.#phase = 'running';
    this.#announcer = new Announcer(observer);
    const stop = new AbortController();
    this.#leave = () => {
      stop.abort();
    };
    const ignoreSignal = onAbort(signal, this.#leave);
    const enter = captureContext();
    const disregard = this.#candidacy.observe(() => {
      enter(() => {
        for (const slot of this.#slots) slot.parentChanged();
      });
    });
    const runs = this.#slots.map((slot) =>
      slot.elector.run(stop.signal, (event) => {
        this.#on(slot, event);
      }),
    );
    await Promise.all(runs);
    disregard();
    ignoreSignal();
    this.#phase = 'stopped';
    this.#alarm.clear();
    this.#announcer.tell({ type: 'stateChanged', state: this.state });
  }

  async stepDown(options: StepDownOptions = {}): Promise<void> {
    cooldownIn(options);
    await this.#shown?.elector.stepDown(options);
  }

  endAtExit(): readonly LeaseUpdate[] {
    return this.#slots.flatMap(({ elector }) => elector.endAtExit());
  }

  #choose(): void {
    this.#choice = chooseSlot(
      this.#slots.map(({ view }) => view),
      {
        now: this.clock.now(),
        before: this.#choice,
        retryPeriod: this.#retryPeriod,
        random: () => this.clock.random(),
      },
    );
    const { slot: chosen, chooseAgainAt } = this.#choice;
    this.#alarm.set(chooseAgainAt);
    // The others first, so that this process never stands for two slots.
    for (const [index, slot] of this.#slots.entries()) if (index !== chosen) slot.choose(false);
    if (chosen !== undefined) this.#slots[chosen]?.choose(true);
    this.#reportUnled();
  }

  /**
   * Reports slots that stay free while this process leads another: nobody is left to lead them. While it leads none, it stands
   * for a free slot itself.
   */
  #reportUnled(): void {
    const now = this.clock.now();
    const views = this.#slots.map(({ view }) => view);
    this.#emptySince = emptySince(views, this.#emptySince, now);
    const dueAt = unledAt(views, this.#emptySince, this.#longestFree);
    const due = dueAt.flatMap((at, slot) => (at <= now ? [slot] : []));
    const reported = this.#reported.filter((slot) => due.includes(slot));
    const leads = views.some(({ held }) => held);
    this.#unledAlarm.set(leads ? dueAt.filter((at) => at > now).reduce(earlier, NEVER) : NEVER);
    this.#reported = leads ? due : reported;
    const unled = this.#reported.filter((slot) => !reported.includes(slot));
    if (unled.length === 0) return;
    const error = this.#unled(unled);
    for (const slot of unled) this.#slots[slot]?.measure({ type: 'failed', code: error.code });
    this.#announcer.tell({ type: 'error', error });
  }

  #unled(slots: readonly number[]): LeaderError {
    const leases = slots.map((slot) => `'${slotLeaseName(this.leaseName, slot)}'`).join(', ');
    return new LeaderError(
      'LEADER_SLOT_UNLED',
      `Nobody has led ${leases} for ${String(this.#longestFree / 1000)} s, and this process leads another of the ` +
        `${String(this.#slots.length)} slots. Each process leads one slot: run at least as many replicas as there are ` +
        `slots, or set slots to a smaller number.`,
    );
  }

  #on(slot: Slot, event: ElectionEvent): void {
    switch (event.type) {
      case 'stateChanged':
        this.#onState(slot, event.state);
        break;
      case 'startedLeading':
        if (this.#shown !== slot) break;
        this.#announced = event.term;
        this.#announcer.tell(event);
        break;
      case 'stoppedLeading':
        // The elector of this slot has stopped standing, and the others must, too, although its work may still run.
        if (this.#onLost === 'exit' && isLoss(event.reason)) this.#leave();
        if (this.#announced !== event.term) break;
        this.#announcer.tell(event);
        break;
      case 'newLeader':
        // The leader of the first slot that has one.
        this.#leaderNews.tell(leaderIn(this.state, this.identity));
        break;
      case 'error':
        this.#announcer.tell(event);
        break;
    }
    this.#choose();
  }

  #onState(slot: Slot, state: ElectorState): void {
    const holds = state.kind === 'leading' || state.kind === 'handingOver';
    this.#shown ??= slot;
    if (this.#shown !== slot) return;
    if (!holds) this.#shown = undefined;
    this.#announcer.tell({ type: 'stateChanged', state: holds ? state : this.state });
  }

  #following(): ElectorState {
    const states = this.#slots.map(({ elector }) => elector.state);
    const following = states.filter((state) => state.kind === 'following');
    const { leader = '', expiresAt, leaderNote } = following.find((state) => state.leader !== '') ?? {};
    const stillRunning = following.reduce((sum, state) => sum + state.stillRunning, 0);
    return {
      kind: 'following',
      leader,
      expiresAt,
      stillRunning,
      leaderNote,
      ...campaignsIn(following),
      ...conditionOf(following),
    };
  }
}
