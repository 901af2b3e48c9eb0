import { LONG_AGO, after, type Clock, type MonotonicMs } from '../clock.js';
import type { Attendant, ElectionEvent, Report } from '../elector.js';
import { LeaderError } from '../errors.js';
import type { LeaseElector } from '../lease-elector.js';
import { show } from '../options.js';
import { systemClock } from '../system-clock.js';
import { Alarm } from '../waiting.js';

/** How much this process is to be preferred as the leader. Called again and again, so it must be quick. */
export type PriorityOf = () => number;

/** The part of an election that a {@link Preference} uses. */
export type PreferringElection = Pick<LeaseElector, 'identity' | 'state' | 'askForLease'>;

/** The parts of a {@link Preference}. */
export interface PreferenceParts {
  /** The higher, the more this process is preferred. */
  readonly priority: number | PriorityOf;
  /** How long a holder is left alone after it was first seen, and how often a function is asked again, in milliseconds. */
  readonly interval: number;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
}

/** After each question that the holder does not follow, the time until the next one is multiplied by this. */
const PATIENCE = 2;
/** The longest time between two questions, in intervals. */
const LONGEST = 16;

/**
 * Moves the lease to the process with the highest priority. The holder notes its priority on the Lease. A candidate with a higher
 * one asks it to hand over; equal ones leave the lease where it is.
 *
 * It asks at most once in an interval, and more rarely a holder that does not hand over. It never asks a holder that notes no
 * priority: another client, or one that is handing over.
 */
export class Preference implements Attendant {
  readonly #parts: PreferenceParts;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  #election: PreferringElection | undefined;
  #report: Report = () => undefined;
  #hasFailed = false;
  #isHandingOver = false;
  /** From when the present holder may be asked again. */
  #askFrom: MonotonicMs = LONG_AGO;
  #pauseIntervals = 1;

  constructor(parts: PreferenceParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    this.#alarm = new Alarm(this.#clock, () => void this.#look());
  }

  /** The election must be known before it starts. */
  in(election: PreferringElection): this {
    this.#election = election;
    return this;
  }

  /** What the holder notes on the Lease; undefined while it hands over, so that nobody asks it. */
  get noted(): number | undefined {
    return this.#isHandingOver ? undefined : this.#own;
  }

  start(report: Report): void {
    this.#report = report;
  }

  onEvent(event: ElectionEvent): void {
    if (event.type === 'stateChanged') this.#isHandingOver = event.state.kind === 'handingOver';
    if (event.type !== 'newLeader') return;
    this.#pauseIntervals = 1;
    this.#askFrom = LONG_AGO;
    this.#lookAgain();
  }

  stop(): void {
    this.#alarm.clear();
  }

  /** 0 while the function fails: such a process neither asks nor keeps others from asking. */
  get #own(): number {
    const { priority } = this.#parts;
    try {
      const value: unknown = typeof priority === 'function' ? priority() : priority;
      if (typeof value === 'number' && Number.isFinite(value)) {
        this.#hasFailed = false;
        return value;
      }
      // Nobody else handles its rejection, which would end the process.
      if (value instanceof Promise) value.catch(() => undefined);
      throw new TypeError(`It returned ${show(value)}: it must return a finite number.`);
    } catch (cause) {
      if (!this.#hasFailed) {
        this.#hasFailed = true;
        this.#report(failed(cause));
      }
      return 0;
    }
  }

  /** A random part keeps candidates apart. */
  #lookAgain(): void {
    const { interval } = this.#parts;
    this.#alarm.set(after(this.#clock.now(), interval * (1 + this.#clock.random() / 5)));
  }

  async #look(): Promise<void> {
    this.#lookAgain();
    const election = this.#election;
    const state = election?.state;
    if (election === undefined || state?.kind !== 'following' || state.leader === '') return;
    const noted = state.leaderNote?.priority;
    const now = this.#clock.now();
    if (state.leader === election.identity || noted === undefined || now < this.#askFrom) return;
    if (this.#own <= noted) return;
    this.#askFrom = after(now, this.#pauseIntervals * this.#parts.interval);
    this.#pauseIntervals = Math.min(this.#pauseIntervals * PATIENCE, LONGEST);
    await election.askForLease();
  }
}

function failed(cause: unknown): LeaderError {
  return new LeaderError(
    'LEADER_LISTENER_FAILED',
    'The function priority failed, so the priority of this process is 0; see its cause.',
    { cause },
  );
}
