import type { Clock, Disposer } from './clock.js';
import { type LeaseRequestError } from './errors.js';
import type { Reply } from './lease-requests.js';

type Answer<T> = (reply: Reply<T>) => void;

/** Those who wait for one read, or for a later one. */
interface Batch<T> {
  readonly asking: Answer<T>[];
}

/**
 * Reads for those who want to know what is so now. All who ask at one time share a read, and those who ask while it is
 * under way share the next, which is sent when that was answered, or was not for `resendAfterMs`. So each is answered by a
 * read that was sent after it asked, and few are under way however many ask.
 */
export class SharedRead<T> {
  readonly #clock: Clock;
  readonly #resendAfterMs: number;
  readonly #read: () => Promise<Reply<T>>;
  /** Who asked since the last read was sent. */
  #asking: Answer<T>[] = [];
  /** The reads that are under way, the oldest first. */
  readonly #underWay: Batch<T>[] = [];
  /** Until when the newest of them is waited for, if it is. */
  #forgive: Disposer | undefined;

  constructor(clock: Clock, resendAfterMs: number, read: () => Promise<Reply<T>>) {
    this.#clock = clock;
    this.#resendAfterMs = resendAfterMs;
    this.#read = read;
  }

  /** The reply to a read that is sent after this call. */
  ask(): Promise<Reply<T>> {
    return new Promise((resolve) => {
      this.#asking.push(resolve);
      if (this.#asking.length > 1) return;
      // When everything that asks in this turn has asked.
      queueMicrotask(() => {
        if (this.#forgive === undefined) void this.#send();
      });
    });
  }

  /** Whoever still waits is told so. */
  abandon(error: LeaseRequestError): void {
    for (const answer of this.#asking.splice(0)) answer({ ok: false, error });
  }

  async #send(): Promise<void> {
    if (this.#asking.length === 0) return;
    const batch: Batch<T> = { asking: this.#asking.splice(0) };
    this.#underWay.push(batch);
    const next = (): void => {
      this.#forgive?.();
      this.#forgive = undefined;
      void this.#send();
    };
    const forgive = this.#clock.setTimer(this.#resendAfterMs, next);
    this.#forgive = forgive;
    const reply = await this.#read();
    this.#answer(batch, reply);
    if (this.#forgive === forgive) next();
  }

  /** One that failed leaves the answer to a later one, if there is one. One that did not is as good for whoever asked before. */
  #answer(batch: Batch<T>, reply: Reply<T>): void {
    const index = this.#underWay.indexOf(batch);
    if (index < 0) return;
    const later = this.#underWay[index + 1];
    if (!reply.ok && later !== undefined) {
      later.asking.push(...batch.asking);
      this.#underWay.splice(index, 1);
      return;
    }
    const answered = reply.ok ? this.#underWay.splice(0, index + 1) : this.#underWay.splice(index, 1);
    for (const { asking } of answered) for (const answer of asking) answer(reply);
  }
}
