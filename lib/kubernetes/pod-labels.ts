/**
 * Labels that the leader's Pod wears, so that a Service can select it: put on before a term's work starts, taken off before
 * its lease is released, and at the start of the process, in case an earlier process of this Pod left them on.
 *
 * One loop makes the Pod as it should be, one patch after the other, and tries until it is. Not guaranteed: that only the
 * leader wears them. A Pod whose process died, or cannot reach the API server, keeps them until it is gone, or its next
 * process starts. And a patch without an answer may be carried out after later ones; so once more is patched what is wanted, a
 * while after that, which finds it done unless the patch was held longer still.
 */
import {
  LeaderError,
  SystemClock,
  after,
  isLeaderError,
  type Attendant,
  type Clock,
  type Disposer,
  type LeadershipTerm,
  type LeaseRequestError,
  type Report,
  type TermGuard,
} from '../election/index.js';
import type { KubernetesConnection } from './connection.js';
import type { PodAddress } from './pod.js';
import { unusable } from './request-errors.js';
import { PODS, pathOf } from './resources.js';
import { SideRequests } from './side-requests.js';

/** What {@link PodLabels} are made of. */
export interface PodLabelsParts {
  readonly connection: KubernetesConnection;
  /** The Pod of this process. */
  readonly pod: PodAddress;
  readonly labels: Readonly<Record<string, string>>;
  /** That of the election: for how long it waits for these. In milliseconds. */
  readonly retryPeriod: number;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock;
}

/** Somebody who waits for the Pod to be as it should be. */
interface Waiter {
  readonly done: () => void;
  readonly failed: (error: LeaderError) => void;
}

/** Between attempts while nobody waits, and before what may have been undone is done again. */
const BACKGROUND_PAUSE_MS = 10_000;

/** See the head of the file. */
export class PodLabels implements TermGuard, Attendant {
  readonly #pod: PodAddress;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #retryPeriod: number;
  readonly #clock: Clock;
  readonly #requests: SideRequests;
  /** Terms that want them on: with slots there may be two for a moment. */
  readonly #terms = new Set<LeadershipTerm>();
  readonly #waiters = new Set<Waiter>();
  #report: Report = () => undefined;
  /** As the last answer had it; undefined when that is not known. */
  #worn: boolean | undefined;
  /** What the last attempt failed with; and since one succeeded: whether anybody was told, and any may yet be carried out. */
  #failure:
    { readonly error: LeaderError; readonly told: boolean; readonly mayComeLate: boolean } | undefined;
  #cancelRepeat: Disposer = () => undefined;
  #working = false;
  #stopped = false;
  #wake: () => void = () => undefined;

  constructor({ connection, pod, labels, retryPeriod, clock = new SystemClock() }: PodLabelsParts) {
    this.#pod = pod;
    this.#labels = labels;
    this.#retryPeriod = retryPeriod;
    this.#clock = clock;
    // So that a connection that hangs leaves time for another.
    this.#requests = new SideRequests(connection, retryPeriod / 2, clock);
  }

  /**
   * Takes off what an earlier process left on this Pod. What fails while nobody waits for it is told to `report`, once until
   * it succeeds, as `LEADER_POD_LABEL_FAILED`; what may pass by itself, when it has failed twice.
   */
  start(report: Report): void {
    this.#report = report;
    void this.#settle();
  }

  async atStart(term: LeadershipTerm, signal: AbortSignal): Promise<void> {
    this.#terms.add(term);
    await this.#settled(signal);
  }

  async atEnd(term: LeadershipTerm, signal: AbortSignal): Promise<void> {
    this.#terms.delete(term);
    await this.#settled(signal);
  }

  /** Leaves the Pod as it is. */
  stop(): void {
    this.#stopped = true;
    this.#cancelRepeat();
    this.#requests.abortAll();
    this.#wake();
  }

  get #wanted(): boolean {
    return this.#terms.size > 0;
  }

  /** Resolves when the Pod is as it should be. Rejects when that is not to be had soon, or `signal` fires before. */
  #settled(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        waiter.failed(this.#failure?.error ?? (signal.reason as LeaderError));
      };
      const leave = (): void => {
        this.#waiters.delete(waiter);
        signal.removeEventListener('abort', giveUp);
      };
      const waiter: Waiter = {
        done: () => {
          leave();
          resolve();
        },
        failed: (error) => {
          leave();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', giveUp);
      this.#wake();
      void this.#settle();
    });
  }

  async #settle(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    while (!this.#stopped && this.#worn !== this.#wanted) {
      const sentAt = this.#clock.now();
      if (await this.#try(this.#wanted)) continue;
      const pause = this.#waiters.size > 0 ? this.#retryPeriod / 4 : BACKGROUND_PAUSE_MS;
      await this.#pause(after(sentAt, pause) - this.#clock.now());
    }
    this.#working = false;
    for (const waiter of [...this.#waiters]) waiter.done();
  }

  /** @returns whether there is nothing to try again. */
  async #try(on: boolean): Promise<boolean> {
    try {
      await this.#patch(on);
      this.#worn = on;
      if (this.#failure?.mayComeLate === true) this.#repeatLater();
      this.#failure = undefined;
      return true;
    } catch (cause) {
      if (!this.#stopped) this.#failed(on, cause as LeaseRequestError);
      return this.#stopped;
    }
  }

  #repeatLater(): void {
    this.#cancelRepeat();
    this.#cancelRepeat = this.#clock.setTimer(BACKGROUND_PAUSE_MS, () => {
      this.#worn = undefined;
      void this.#settle();
    });
  }

  async #patch(on: boolean): Promise<void> {
    const { name, namespace } = this.#pod;
    const labels = Object.fromEntries(
      Object.entries(this.#labels).map(([key, value]) => [key, on ? value : null]),
    );
    const context = { verb: 'patch', resource: PODS, name, namespace } as const;
    const path = pathOf(PODS, 'v1', this.#pod);
    const pod = await this.#requests.send({ method: 'PATCH', path, body: { metadata: { labels } }, context });
    if (!wears(pod, labels))
      throw unusable('the pod in it does not wear the labels as they were patched', context);
  }

  #failed(on: boolean, cause: LeaseRequestError): void {
    // It may have been done all the same.
    this.#worn = undefined;
    const error = notLabelled(on, this.#pod, cause);
    const waiters = [...this.#waiters];
    const { told = false, mayComeLate = false } = this.#failure ?? {};
    // Nobody waits, so nobody misses anything if the next attempt succeeds.
    const isWorthTelling = this.#failure !== undefined || !isForNow(cause);
    const reports = waiters.length === 0 && !told && isWorthTelling;
    this.#failure = {
      error,
      told: told || reports || waiters.length > 0,
      mayComeLate: mayComeLate || cause.maybeCommitted,
    };
    if (reports) this.#report(error);
    if (isForNow(cause)) return;
    for (const { failed } of waiters) failed(error);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const disarm = this.#clock.setTimer(ms, resolve);
      this.#wake = () => {
        disarm();
        resolve();
      };
    });
  }
}

/** Whether the pod in an answer is as it was patched; what shows none says nothing about that. */
function wears(pod: unknown, labels: Readonly<Record<string, string | null>>): boolean {
  const { metadata } = pod as { metadata?: { labels?: Readonly<Record<string, unknown>> | null } | null };
  if (metadata === undefined || metadata === null) return true;
  return Object.entries(labels).every(([key, value]) => (metadata.labels?.[key] ?? null) === value);
}

/** Whether the same request may succeed a moment later. */
function isForNow(error: LeaseRequestError): boolean {
  return !isLeaderError(error, 'LEADER_FORBIDDEN') && !isLeaderError(error, 'LEADER_REQUEST_INVALID');
}

function notLabelled(on: boolean, { name, namespace }: PodAddress, cause: LeaseRequestError): LeaderError {
  return new LeaderError(
    'LEADER_POD_LABEL_FAILED',
    `The leader's labels could not be ${on ? 'put on' : 'taken off'} pod '${namespace}/${name}': ${cause.message} The ` +
      `election goes on, and it is tried again. If this process does not run in a pod of that name, set POD_NAME to ` +
      `its pod's (downward API: metadata.name).`,
    { cause },
  );
}
