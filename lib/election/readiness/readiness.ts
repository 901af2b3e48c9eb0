import { Alarm, bounded } from '../waiting.js';
import type { Candidacy } from '../elector.js';
import { after, type Clock, type Disposer } from '../clock.js';
import { InvalidOptionsError, LeaderError } from '../errors.js';
import { isDuration, kindOf, show } from '../options.js';
import { systemClock } from '../system-clock.js';

/**
 * Checks whether this process is ready to lead. It is not if the check throws, rejects, returns `false`, or has not ended when
 * the next check begins; then `signal` fires.
 */
export type ReadinessCheck = (signal: AbortSignal) => unknown;

/** The parts of a {@link Readiness}. */
export interface ReadinessParts {
  readonly check: ReadinessCheck;
  /** Milliseconds from the beginning of one check to the beginning of the next. Default 5000. */
  readonly interval?: number | undefined;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
}

const INTERVAL_MS = 5_000;

/** A candidacy that wants to lead while a check passes, and not before it has passed once. */
export class Readiness implements Candidacy {
  readonly #check: ReadinessCheck;
  readonly #interval: number;
  readonly #clock: Clock;
  /** Why this process does not want to lead; `'unknown'` until the first check has ended. */
  #objection: LeaderError | undefined | 'unknown' = 'unknown';

  /** @throws InvalidOptionsError */
  constructor({ check, interval = INTERVAL_MS, clock = systemClock }: ReadinessParts) {
    const violations = [
      ...(typeof check === 'function' ? [] : [`readinessCheck is ${kindOf(check)}: it must be a function`]),
      ...(isDuration(interval) && interval > 0
        ? []
        : [`readinessInterval is ${show(interval)}: it must be a number of milliseconds above 0`]),
    ];
    if (violations.length > 0) throw new InvalidOptionsError(violations);
    this.#check = check;
    this.#interval = interval;
    this.#clock = clock;
  }

  get stands(): boolean {
    return this.#objection === undefined;
  }

  get objection(): LeaderError | undefined {
    return this.#objection === 'unknown' ? undefined : this.#objection;
  }

  observe(changed: () => void): Disposer {
    let running: AbortController | undefined;
    const look = async (): Promise<void> => {
      const call = new AbortController();
      running?.abort(tooLate(this.#interval));
      running = call;
      alarm.set(after(this.#clock.now(), this.#interval));
      const objection = await this.#ask(call.signal);
      if (running === call) running = undefined;
      if (stopped || sameObjection(objection, this.#objection)) return;
      this.#objection = objection;
      changed();
    };
    const alarm = new Alarm(this.#clock, () => void look());
    let stopped = false;
    void look();
    return () => {
      stopped = true;
      alarm.clear();
      running?.abort(new LeaderError('LEADER_STOPPED', 'The election has ended.'));
    };
  }

  /** Runs the check once and returns the objection, if any. Never rejects; ends when `signal` fires, whatever the check does. */
  async #ask(signal: AbortSignal): Promise<LeaderError | undefined> {
    try {
      const answer = await bounded({ signal }, (given) => Promise.resolve(given).then(this.#check));
      return answer === false ? notReady('it returned false') : undefined;
    } catch (cause) {
      return notReady(reasonOf(cause), { cause });
    }
  }
}

/** The reason that a check threw, which need not be an Error or convertible to a string. */
function reasonOf(cause: unknown): string {
  if (cause instanceof Error) return cause.message;
  return typeof cause === 'string' ? cause : show(cause);
}

function tooLate(interval: number): LeaderError {
  return new LeaderError('LEADER_NOT_READY', `no answer within readinessInterval, ${String(interval)} ms`);
}

function notReady(why: string, options?: ErrorOptions): LeaderError {
  return new LeaderError(
    'LEADER_NOT_READY',
    `This process does not campaign, because its readiness check fails: ${why}.`,
    options,
  );
}

/** Compares messages, so that repeated failures with the same message are reported once. */
function sameObjection(a: LeaderError | undefined, b: LeaderError | undefined | 'unknown'): boolean {
  return b !== 'unknown' && a?.message === b?.message;
}
