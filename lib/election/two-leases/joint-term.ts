import type { Disposer, MonotonicMs, WallMs } from '../clock.js';
import { TermOverError } from '../errors.js';
import type { GatedWork } from '../gated-work.js';
import type { LeadershipTerm, TermEndReason } from '../term.js';
import { raceTerm } from '../term-race.js';

/**
 * A term on two Leases at once: it lasts while both terms do, and is over for the reason for which the first of them is.
 *
 * Its fencing token is the larger of both. Each is larger than that of every earlier term of its own Lease, and both come
 * from one count of the API server's; so this one is larger than that of every earlier term of either Lease.
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

  /** By the monotonic clock. */
  readonly beganAt: MonotonicMs;

  /** @param work that of both terms. */
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
      const close = (): void => {
        this.#controller.abort(new TermOverError(leaseName, (signal.reason as TermOverError).reason));
      };
      if (signal.aborted) close();
      else signal.addEventListener('abort', close, { once: true });
    }
  }

  /** Whether it is made of these. */
  isOf(first: LeadershipTerm | undefined, second: LeadershipTerm | undefined): boolean {
    return this.#first === first && this.#second === second;
  }

  /** Why it is over, once it is. */
  get endReason(): TermEndReason {
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
    if (this.isOver) throw this.signal.reason;
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
