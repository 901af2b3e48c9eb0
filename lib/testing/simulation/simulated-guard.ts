import type { LeadershipTerm, TermGuard } from '../../election/internal.js';
import type { SimulatedTime } from '../simulated-time.js';
import type { guardFaultKinds } from './fault-kinds.js';

type GuardFaultKind = (typeof guardFaultKinds)[number];

/** What a {@link SimulatedGuard} needs of its process. */
export interface GuardParts {
  readonly time: SimulatedTime;
  /** Runs a callback on the event loop of the process. */
  readonly deliver: (callback: () => void) => void;
  readonly retryPeriod: number;
  /** Reports what breaks the promise of a guard. */
  readonly broken: (what: string) => void;
  /** It was told that this term ends. */
  readonly toldEnd: (term: LeadershipTerm) => void;
  /** It failed at the end of a term, which must be reported. */
  readonly failedAtEnd: () => void;
}

/** How long a guard takes that is in order, and the longest that a slow one takes, in retry periods. */
const LONGEST_MS = 5;
const LONGEST_SLOW_RETRY_PERIODS = 2;

/** What an application does when its terms start and end. It may work, be slow, fail, or never finish. */
export class SimulatedGuard implements TermGuard {
  readonly #parts: GuardParts;
  readonly #starting = new Set<LeadershipTerm>();
  readonly #ending = new Set<LeadershipTerm>();
  /** The terms whose start it was told, and whose end it was not. */
  readonly #open = new Set<LeadershipTerm>();
  #fault: { readonly kind: GuardFaultKind; readonly until: number } | undefined;

  constructor(parts: GuardParts) {
    this.#parts = parts;
  }

  /** For a while it behaves so. */
  misbehave(kind: GuardFaultKind, forMs: number): void {
    this.#fault = { kind, until: this.#parts.time.now + forMs };
  }

  heal(): void {
    this.#fault = undefined;
  }

  /** Whether it still works on the start of this term, or of any. */
  isStarting(term?: LeadershipTerm): boolean {
    return term === undefined ? this.#starting.size > 0 : this.#starting.has(term);
  }

  /** Whether it still works on the end of this term, or of any. */
  isEnding(term?: LeadershipTerm): boolean {
    return term === undefined ? this.#ending.size > 0 : this.#ending.has(term);
  }

  /** How many terms began for it and never ended. */
  get left(): number {
    return this.#open.size;
  }

  atStart(term: LeadershipTerm, signal: AbortSignal): Promise<void> {
    if (this.#open.has(term)) this.#parts.broken('was told twice that a term starts');
    this.#open.add(term);
    return this.#act(this.#starting, term, signal);
  }

  atEnd(term: LeadershipTerm, signal: AbortSignal): Promise<void> {
    if (!this.#open.delete(term))
      this.#parts.broken('was told the end of a term that had not started for it');
    if (!term.signal.aborted)
      this.#parts.broken('was told the end of a term whose work was not told to stop');
    this.#parts.toldEnd(term);
    return this.#act(this.#ending, term, signal, () => {
      if (!signal.aborted) this.#parts.failedAtEnd();
    });
  }

  #act(
    busy: Set<LeadershipTerm>,
    term: LeadershipTerm,
    signal: AbortSignal,
    fails: () => void = () => undefined,
  ): Promise<void> {
    const { time, deliver, retryPeriod } = this.#parts;
    const { chance } = time;
    const fault = this.#fault !== undefined && time.now < this.#fault.until ? this.#fault.kind : undefined;
    const failed = new Error('The guard of the application fails.');
    if (fault === 'guardFails' && chance.happens(0.3)) {
      fails();
      throw failed;
    }
    busy.add(term);
    signal.addEventListener('abort', () => busy.delete(term), { once: true });
    if (signal.aborted) busy.delete(term);
    return new Promise((resolve, reject) => {
      if (fault === 'guardHangs') return;
      const longest = fault === 'guardSlow' ? LONGEST_SLOW_RETRY_PERIODS * retryPeriod : LONGEST_MS;
      time.schedule(chance.between(0, longest), () => {
        deliver(() => {
          busy.delete(term);
          if (fault === 'guardFails') {
            fails();
            reject(failed);
          } else resolve();
        });
      });
    });
  }
}
