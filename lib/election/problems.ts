/**
 * What is wrong at the moment, by the kind of request that fails. A problem stays until a request of its kind succeeds, or
 * until none of that kind is wanted any more: that reads are answered says nothing about writes.
 */
import { LONG_AGO, NEVER, earlier, later, type MonotonicMs } from './clock.js';
import type { LeaderError } from './errors.js';

/** What a request is for; what matters most first. */
const KINDS = ['write', 'read', 'release', 'watch', 'ask'] as const;

/** See the head of the file. */
export type ProblemKind = (typeof KINDS)[number];

interface Problem {
  readonly error: LeaderError;
  readonly until: MonotonicMs;
}

/** See the head of the file. */
export class Problems {
  readonly #changed: () => void;
  readonly #found = new Map<ProblemKind, Problem>();
  /** When the newest request of a kind that succeeded had been sent. */
  readonly #succeeded = new Map<ProblemKind, MonotonicMs>();

  /** @param changed is called whenever {@link all} says something else. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Each problem's newest error; what matters most first. */
  get all(): readonly LeaderError[] {
    return KINDS.map((kind) => this.#found.get(kind)?.error).filter((error) => error !== undefined);
  }

  /** When the next problem is over by itself. */
  get nextEnd(): MonotonicMs {
    return [...this.#found.values()].reduce((next, { until }) => earlier(next, until), NEVER);
  }

  /**
   * A request sent at that instant failed. If a later one of its kind has succeeded, that is over already.
   *
   * @param until When it is over by itself. Default: never.
   */
  failed(kind: ProblemKind, error: LeaderError, sentAt: MonotonicMs, until = NEVER): void {
    if (sentAt < (this.#succeeded.get(kind) ?? LONG_AGO)) return;
    const known = this.#found.get(kind)?.error;
    this.#found.set(kind, { error, until });
    if (known?.code !== error.code || known.message !== error.message) this.#changed();
  }

  /** A request sent at that instant succeeded. */
  succeeded(kind: ProblemKind, sentAt: MonotonicMs): void {
    this.#succeeded.set(kind, later(this.#succeeded.get(kind) ?? LONG_AGO, sentAt));
    this.unwanted(kind);
  }

  /** Nobody wants a request of these kinds now. */
  unwanted(...kinds: readonly ProblemKind[]): void {
    const over = kinds.filter((kind) => this.#found.delete(kind));
    if (over.length > 0) this.#changed();
  }

  /** Those that end by themselves before `now` are over. */
  pass(now: MonotonicMs): void {
    this.unwanted(...KINDS.filter((kind) => (this.#found.get(kind)?.until ?? NEVER) <= now));
  }
}
