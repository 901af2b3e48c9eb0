import type { Disposer, MonotonicMs, WallMs } from '../clock.js';
import { TermOverError } from '../errors.js';
import { raceTerm, type GatedWork, type LeadershipTerm, type TermEndReason } from '../term.js';
import { onAbort } from '../waiting.js';

/**
 * A term on two Leases: it lasts while the terms on both last.
 *
 * Its fencing token is the larger of the two. Each token is larger than those of all earlier terms of its own Lease, and the
 * API server takes both from one counter; so the larger one exceeds the tokens of all earlier terms of either Lease.
 */
export class JointTerm implements LeadershipTerm {
  readonly leaseName: string;
  readonly identity: string;
  readonly slot = 0;
  readonly startedAt: WallMs;
  readonly #first: LeadershipTerm;
  readonly #second: LeadershipTerm;
  readonly #work: GatedWork;
  readonly #controller = new AbortController();

  /** When it began, by the monotonic clock. */
  readonly beganAt: MonotonicMs;

  /** @param work the gated work of both terms. */
  constructor(
    leaseName: string,
    [first, second]: readonly [LeadershipTerm, LeadershipTerm],
    work: GatedWork,
    beganAt: MonotonicMs,
  ) {
    this.leaseName = leaseName;
    this.beganAt = beganAt;
    this.identity = first.identity;
    this.startedAt = first.startedAt > second.startedAt ? first.startedAt : second.startedAt;
    this.#first = first;
    this.#second = second;
    this.#work = work;
    for (const { signal } of [first, second]) {
      onAbort(signal, () => {
        this.#controller.abort(new TermOverError(leaseName, (signal.reason as TermOverError).reason));
      });
    }
  }

  /** Whether it consists of these two terms. */
  isOf(first: LeadershipTerm | undefined, second: LeadershipTerm | undefined): boolean {
    return this.#first === first && this.#second === second;
  }

  /** Why its work was told to stop. Read it only after its signal has fired. */
  get closeReason(): TermEndReason {
    return (this.signal.reason as TermOverError).reason;
  }

  get fencingToken(): bigint {
    const { fencingToken } = this.#first;
    return fencingToken > this.#second.fencingToken ? fencingToken : this.#second.fencingToken;
  }

  get renewedAt(): WallMs {
    const { renewedAt } = this.#first;
    return renewedAt < this.#second.renewedAt ? renewedAt : this.#second.renewedAt;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return this.#first.isOver || this.#second.isOver;
  }

  remaining(): number {
    return this.isOver ? 0 : Math.min(this.#first.remaining(), this.#second.remaining());
  }

  throwIfOver(): void {
    if (!this.isOver) return;
    for (const term of [this.#first, this.#second]) {
      try {
        term.throwIfOver();
      } catch {
        // The signal says why.
      }
    }
    throw this.signal.reason;
  }

  async confirm(options?: { signal?: AbortSignal | undefined }): Promise<void> {
    this.throwIfOver();
    await Promise.all([this.#first.confirm(options), this.#second.confirm(options)]).catch(
      (error: unknown) => {
        this.throwIfOver();
        throw error;
      },
    );
    this.throwIfOver();
  }

  enter(): Disposer {
    this.throwIfOver();
    return this.#work.enter();
  }

  race<T>(operation: PromiseLike<T>): Promise<T> {
    return raceTerm(this, this.#work, operation);
  }

  toJSON(): Record<string, unknown> {
    return {
      ...this.#second.toJSON(),
      leaseName: this.leaseName,
      fencingToken: this.fencingToken.toString(),
      startedAt: this.startedAt,
      renewedAt: this.renewedAt,
      isOver: this.isOver,
      remaining: this.remaining(),
    };
  }
}
