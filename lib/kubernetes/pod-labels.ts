import {
  LeaderError,
  SystemClock,
  after,
  bounded,
  isLeaderError,
  pause,
  type Attendant,
  type Clock,
  type Disposer,
  type LeadershipTerm,
  type LeaseRequestError,
  type Report,
  type TermGuard,
} from '../election/internal.js';
import type { KubernetesConnection } from './connection.js';
import type { PodAddress } from './pod.js';
import { unusable } from './request-errors.js';
import { PODS, pathOf } from './resources.js';
import { SideRequests } from './side-requests.js';

/** What {@link PodLabels} are made of. */
export interface PodLabelsParts {
  readonly connection: KubernetesConnection;
  /** The Pod in which this process runs. */
  readonly pod: PodAddress;
  readonly labels: Readonly<Record<string, string>>;
  /** The `retryPeriod` of the election, in milliseconds: how long the start and the end of a term wait for the labels. */
  readonly retryPeriod: number;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock;
}

/** A caller that waits until the Pod has the labels it should have. */
interface Waiter {
  readonly done: () => void;
  readonly failed: (error: LeaderError) => void;
}

/**
 * The pause between attempts while nobody waits, and before a patch is repeated because an earlier one may have
 * arrived late.
 */
const BACKGROUND_PAUSE_MS = 10_000;

/**
 * Labels on the leader's Pod, so that a Service can select it. They are added before a term's work starts, and
 * removed before its lease is released. They are also removed when the process starts, in case an earlier process of
 * this Pod left them.
 *
 * One loop sends one patch after the other until the Pod has the labels it should have. Not guaranteed: that only the
 * leader has them. A Pod whose process died, or cannot reach the API server, keeps them until it is deleted or its
 * next process starts. A patch without an answer may be carried out after later patches. So the right labels are
 * patched once more after a pause; that corrects the Pod unless the patch was delayed even longer.
 */
export class PodLabels implements TermGuard, Attendant {
  readonly #pod: PodAddress;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #retryPeriod: number;
  readonly #clock: Clock;
  readonly #requests: SideRequests;
  /** The terms for which the labels are set. With slots there may be two for a moment. */
  readonly #terms = new Set<LeadershipTerm>();
  readonly #waiters = new Set<Waiter>();
  #report: Report = () => undefined;
  /** Whether the Pod has the labels, by the last answer; undefined if that is unknown. */
  #worn: boolean | undefined;
  /**
   * The error of the last attempt, if it failed. `reported`: an error was reported since the last success. `mayComeLate`: a
   * patch since then may still be carried out.
   */
  #failure:
    { readonly error: LeaderError; readonly reported: boolean; readonly mayComeLate: boolean } | undefined;
  #cancelRepeat: Disposer = () => undefined;
  #working = false;
  #stopped = false;
  /** Aborted to end the pause between two attempts. */
  #rest = new AbortController();

  constructor({ connection, pod, labels, retryPeriod, clock = new SystemClock() }: PodLabelsParts) {
    this.#pod = pod;
    this.#labels = labels;
    this.#retryPeriod = retryPeriod;
    this.#clock = clock;
    // Half of it leaves time for a second connection if the first one hangs.
    this.#requests = new SideRequests(connection, retryPeriod / 2, clock);
  }

  /**
   * Removes labels that an earlier process left on this Pod. From now on, a failure while nobody waits is reported as
   * `LEADER_POD_LABEL_FAILED`, once until an attempt succeeds; a failure that may be temporary is reported when it
   * occurs twice.
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
    this.#rest.abort();
  }

  get #wanted(): boolean {
    return this.#terms.size > 0;
  }

  /**
   * Resolves when the Pod has the labels it should have. Rejects if that is not to be expected soon, or if `signal`
   * fires first.
   */
  async #settled(signal: AbortSignal): Promise<void> {
    let leave: Disposer = () => undefined;
    try {
      await bounded(
        { signal },
        () =>
          new Promise<void>((done, failed) => {
            const waiter = { done, failed };
            this.#waiters.add(waiter);
            leave = () => this.#waiters.delete(waiter);
            this.#rest.abort();
            void this.#settle();
          }),
      );
    } catch (error) {
      throw signal.aborted ? (this.#failure?.error ?? error) : error;
    } finally {
      leave();
    }
  }

  async #settle(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    while (!this.#stopped && this.#worn !== this.#wanted) {
      const sentAt = this.#clock.now();
      if (await this.#try(this.#wanted)) continue;
      const pauseMs = this.#waiters.size > 0 ? this.#retryPeriod / 4 : BACKGROUND_PAUSE_MS;
      this.#rest = new AbortController();
      await pause(this.#clock, after(sentAt, pauseMs) - this.#clock.now(), this.#rest.signal);
    }
    this.#working = false;
    for (const { done } of this.#waiters) done();
    this.#waiters.clear();
  }

  /** @returns false if the attempt should be repeated. */
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
    if (!wears(pod, labels)) throw unusable('the pod in it does not have the labels of the patch', context);
  }

  #failed(on: boolean, cause: LeaseRequestError): void {
    // The patch may have been carried out nevertheless.
    this.#worn = undefined;
    const error = notLabelled(on, this.#pod, cause);
    const isAwaited = this.#waiters.size > 0;
    const { reported = false, mayComeLate = false } = this.#failure ?? {};
    // While nobody waits, a temporary failure matters only if the next attempt fails as well.
    const isWorthReporting = this.#failure !== undefined || !isForNow(cause);
    const reports = !isAwaited && !reported && isWorthReporting;
    this.#failure = {
      error,
      reported: reported || reports || isAwaited,
      mayComeLate: mayComeLate || cause.maybeCommitted,
    };
    if (reports) this.#report(error);
    if (isForNow(cause)) return;
    for (const { failed } of this.#waiters) failed(error);
    this.#waiters.clear();
  }
}

/** Whether the pod in an answer has the labels of the patch. An answer without metadata proves nothing. */
function wears(pod: unknown, labels: Readonly<Record<string, string | null>>): boolean {
  const { metadata } = pod as { metadata?: { labels?: Readonly<Record<string, unknown>> | null } | null };
  if (metadata === undefined || metadata === null) return true;
  return Object.entries(labels).every(([key, value]) => (metadata.labels?.[key] ?? null) === value);
}

/** Whether the failure may be temporary, so that the same request may succeed a moment later. */
function isForNow(error: LeaseRequestError): boolean {
  return !isLeaderError(error, 'LEADER_FORBIDDEN') && !isLeaderError(error, 'LEADER_REQUEST_INVALID');
}

function notLabelled(on: boolean, { name, namespace }: PodAddress, cause: LeaseRequestError): LeaderError {
  return new LeaderError(
    'LEADER_POD_LABEL_FAILED',
    `The leader's labels could not be ${on ? 'added to' : 'removed from'} pod '${namespace}/${name}': ${cause.message} ` +
      `The election continues, and the patch is retried. If this process does not run in a pod of that name, set ` +
      `POD_NAME to the name of its pod (downward API: metadata.name).`,
    { cause },
  );
}
