/**
 * Takes part in an election of several leaders: one Lease a slot, and this process leads at most one of them. Each slot is
 * an election of its own, with its own terms and tokens; this one stands for one slot at a time.
 *
 * A reply that comes late may still win a second slot: that one is given back at once, and nobody hears of it.
 */
import { Alarm } from '../alarm.js';
import { Announcer } from '../announcer.js';
import { captureContext } from '../async-context.js';
import { ALWAYS, type Candidacy } from '../candidacy.js';
import type { Clock, Disposer } from '../clock.js';
import { conditionOf } from './condition.js';
import {
  cooldownIn,
  type ElectionEvent,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type StepDownOptions,
} from '../elector.js';
import { alreadyStarted, type LeaderError } from '../errors.js';
import { GatedWork } from '../gated-work.js';
import { LeaseElector } from '../lease-elector.js';
import type { LeaseLock } from '../lease-lock.js';
import type { ElectionMeter } from '../meter.js';
import type { ResolvedElectionOptions } from '../options.js';
import { chooseSlot, type SlotView } from './slot-choice.js';
import { SystemClock } from '../system-clock.js';
import type { TermGuard } from '../term-guard.js';
import type { LeadershipTerm } from '../term.js';

/** What a {@link SlotElector} is made of. */
export interface SlotElectorParts {
  /** One per slot, on Leases of their own. */
  readonly locks: readonly LeaseLock[];
  /** Of every slot. Their Leases are called `leaseName-0` and so on. */
  readonly options: ResolvedElectionOptions;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
  /** Whether this process wants to lead. Default: always. */
  readonly candidacy?: Candidacy | undefined;
  /** What is done around the terms of every slot. Default: nothing. */
  readonly guard?: TermGuard | undefined;
  /** The meter of the Lease of that name, which is a slot's. Default: none. */
  readonly meterOf?: (leaseName: string) => ElectionMeter | undefined;
}

/** One slot's election, and whether this process stands in it. */
class Slot implements Candidacy {
  readonly elector: LeaseElector;
  readonly work = new GatedWork();
  readonly #index: number;
  readonly #parent: Candidacy;
  #chosen = false;
  #changed: () => void = () => undefined;

  constructor(
    index: number,
    lock: LeaseLock,
    parts: SlotElectorParts & { readonly clock: Clock },
    parent: Candidacy,
  ) {
    this.#index = index;
    this.#parent = parent;
    const { options, clock, guard, meterOf } = parts;
    const leaseName = slotLeaseName(options.leaseName, index);
    this.elector = new LeaseElector({
      lock,
      options: { ...options, leaseName },
      clock,
      candidacy: this,
      guard,
      slot: index,
      work: this.work,
      meter: meterOf?.(leaseName),
    });
  }

  get stands(): boolean {
    return this.#chosen && this.#parent.stands;
  }

  /** Told once, not once a slot. */
  get objection(): LeaderError | undefined {
    return this.#index === 0 ? this.#parent.objection : undefined;
  }

  observe(changed: () => void): Disposer {
    this.#changed = changed;
    return () => {
      this.#changed = () => undefined;
    };
  }

  /** Stands from now on, or not. */
  choose(chosen: boolean): void {
    if (chosen === this.#chosen) return;
    this.#chosen = chosen;
    this.#changed();
  }

  /** What the parent says has changed. */
  tell(): void {
    this.#changed();
  }

  get view(): SlotView {
    const { state, campaignAt, hasTerm: held } = this.elector;
    return state.kind === 'following'
      ? { held, leader: state.leader, expiresAt: state.expiresAt, campaignAt }
      : { held, leader: '', expiresAt: undefined, campaignAt };
  }
}

/** The Lease of a slot. */
export function slotLeaseName(leaseName: string, slot: number): string {
  return `${leaseName}-${String(slot)}`;
}

/** See the head of the file. */
export class SlotElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  readonly clock: Clock;
  readonly #slots: readonly Slot[];
  readonly #candidacy: Candidacy;
  readonly #retryPeriod: number;
  readonly #alarm: Alarm;
  #observer: ElectionObserver | undefined;
  #chosen: number | undefined;
  /** The slot whose term is shown. */
  #shown: Slot | undefined;
  /** The term whose beginning was told, and whose end was not. */
  #told: LeadershipTerm | undefined;
  #toldLeader = '';
  #ended = false;

  constructor(parts: SlotElectorParts) {
    const { locks, options, clock = new SystemClock(), candidacy = ALWAYS } = parts;
    this.leaseName = options.leaseName;
    this.identity = options.identity;
    this.#candidacy = candidacy;
    this.clock = clock;
    this.#retryPeriod = options.retryPeriod;
    this.#slots = locks.map((lock, index) => new Slot(index, lock, { ...parts, clock }, candidacy));
    this.#alarm = new Alarm(clock, () => {
      // It stood for that one long enough.
      this.#chosen = undefined;
      this.#choose();
    });
  }

  /** That of the slot which is led; else whether any is to be had. */
  get state(): ElectorState {
    if (this.#observer === undefined) return { kind: 'idle' };
    if (this.#ended) return { kind: 'stopped' };
    const shown = this.#shown?.elector.state;
    if (shown?.kind === 'leading' || shown?.kind === 'handingOver') return shown;
    return this.#following();
  }

  async run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    if (this.#observer !== undefined) throw alreadyStarted(this.leaseName);
    this.#observer = observer;
    const stop = new AbortController();
    const leave = (): void => {
      stop.abort();
    };
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    const enter = captureContext();
    const disregard = this.#candidacy.observe(() => {
      enter(() => {
        for (const slot of this.#slots) slot.tell();
        this.#choose();
      });
    });
    const runs = this.#slots.map((slot) =>
      // One that stops by itself (`onLost: 'exit'`) ends them all.
      slot.elector.run(stop.signal, (event) => this.#on(slot, event)).then(leave),
    );
    this.#choose();
    await Promise.all(runs);
    disregard();
    signal.removeEventListener('abort', leave);
    this.#ended = true;
    this.#alarm.clear();
    new Announcer(observer).tell({ type: 'stateChanged', state: this.state });
  }

  async stepDown(options: StepDownOptions = {}): Promise<void> {
    cooldownIn(options);
    await this.#shown?.elector.stepDown(options);
  }

  #choose(): void {
    if (this.#ended) return;
    const { slot: chosen, chooseAgainAt } = chooseSlot(
      this.#slots.map(({ view }) => view),
      {
        now: this.clock.now(),
        present: this.#chosen,
        retryPeriod: this.#retryPeriod,
        random: () => this.clock.random(),
      },
    );
    this.#chosen = chosen;
    this.#alarm.set(chooseAgainAt);
    // The others first, so that it never stands for two.
    for (const [index, slot] of this.#slots.entries()) if (index !== chosen) slot.choose(false);
    if (chosen !== undefined) this.#slots[chosen]?.choose(true);
  }

  #on(slot: Slot, event: ElectionEvent): void {
    switch (event.type) {
      case 'stateChanged':
        this.#onState(slot, event.state);
        break;
      case 'startedLeading':
        if (this.#shown !== slot) break;
        this.#told = event.term;
        this.#observer?.(event);
        break;
      case 'stoppedLeading':
        slot.work.whenIdle(() => {
          this.#choose();
        });
        if (this.#told !== event.term) break;
        this.#told = undefined;
        this.#observer?.(event);
        break;
      case 'newLeader':
        this.#tellLeader();
        break;
      case 'error':
        this.#observer?.(event);
        break;
    }
    this.#choose();
  }

  #onState(slot: Slot, state: ElectorState): void {
    const holds = state.kind === 'leading' || state.kind === 'handingOver';
    if (holds) this.#shown ??= slot;
    if (this.#shown !== undefined && this.#shown !== slot) return;
    if (!holds) this.#shown = undefined;
    this.#observer?.({ type: 'stateChanged', state: holds ? state : this.state });
  }

  #following(): ElectorState {
    const states = this.#slots.map(({ elector }) => elector.state);
    const following = states.filter((state) => state.kind === 'following');
    const seen = following.find(({ leader }) => leader !== '') ?? following[0];
    const { leader = '', expiresAt } = seen ?? {};
    const stillRunning = following.reduce((sum, state) => sum + state.stillRunning, 0);
    return { kind: 'following', leader, expiresAt, stillRunning, ...conditionOf(following) };
  }

  /** Who leads the first slot that is led. */
  #tellLeader(): void {
    const { state } = this;
    const leader = state.kind === 'following' ? state.leader : this.identity;
    if (leader === this.#toldLeader) return;
    this.#toldLeader = leader;
    this.#observer?.({ type: 'newLeader', identity: leader });
  }
}
