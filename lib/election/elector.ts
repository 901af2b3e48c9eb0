/** The port between an election and whoever wants to know how it goes. */
import type { Clock, MonotonicMs, Disposer } from './clock.js';
import type { LeaderError } from './errors.js';
import { DURATION, refuseInvalid } from './options.js';
import type { LeadershipTerm, TermEndReason } from './term.js';
import type { WatchState } from './watch.js';

/** How it goes with the requests of an elector that has a lease. */
export interface ElectionCondition {
  /**
   * All that is wrong at the moment, what matters most first; `error` is the first. A problem of writes, of reads or of the
   * watch stays until that succeeds, or is not wanted any more.
   */
  readonly problems?: readonly LeaderError[];
  /** Whether the lease is watched; while it is not, it is polled. */
  readonly watch?: WatchState;
}

/** What an elector is doing. One of these, and nothing beside it. */
export type ElectorState =
  /** Not started. */
  | { readonly kind: 'idle' }
  /** Somebody else leads, or nobody; wants to lead. */
  | (ElectionCondition & {
      readonly kind: 'following';
      /** The holder as last seen, `''` when there is none. It may have died since: see `expiresAt`. */
      readonly leader: string;
      /** Until when that holder must be respected, on this process' monotonic clock. */
      readonly expiresAt: MonotonicMs | undefined;
      /** What is wrong at the moment: of several problems the one that matters most. */
      readonly error: LeaderError | undefined;
      /**
       * How many pieces of gated work of earlier terms still run. While there are any this process does not campaign, until
       * `drainTimeout` after the last term's end.
       */
      readonly stillRunning: number;
    })
  /** This process leads. Look at the term before each step that must not be made twice. */
  | (ElectionCondition & {
      readonly kind: 'leading';
      readonly term: LeadershipTerm;
      readonly error: LeaderError | undefined;
    })
  /** The term's work is being stopped and waited for; the lease is still held and renewed, then released. */
  | (ElectionCondition & {
      readonly kind: 'handingOver';
      readonly term: LeadershipTerm;
      readonly reason: TermEndReason;
      /** How many pieces of gated work are waited for. */
      readonly stillRunning: number;
      readonly error?: LeaderError | undefined;
    })
  /** Ended. */
  | { readonly kind: 'stopped' };

/**
 * What an elector tells, in order. The state has changed before its event is told; each `startedLeading` is
 * followed by exactly one `stoppedLeading` of the same term, and no second term starts in between.
 */
export type ElectionEvent =
  | { readonly type: 'stateChanged'; readonly state: ElectorState }
  | { readonly type: 'startedLeading'; readonly term: LeadershipTerm }
  | { readonly type: 'stoppedLeading'; readonly term: LeadershipTerm; readonly reason: TermEndReason }
  /** Another holder was seen than the one told last; may be this process; `''` means none. */
  | { readonly type: 'newLeader'; readonly identity: string }
  /** Something failed. The elector goes on. */
  | { readonly type: 'error'; readonly error: LeaderError };

/** Is called synchronously; what it throws is reported as `LEADER_LISTENER_FAILED` and changes nothing. */
export type ElectionObserver = (event: ElectionEvent) => void;

/** How to step down. */
export interface StepDownOptions {
  /** For how long not to campaign afterwards, in milliseconds. Default: `retryPeriod`. */
  readonly cooldown?: number | undefined;
}

/**
 * The cool-down that was asked for, if any.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`: a process that reckoned with what is no number would not campaign
 * for a long time, or for ever.
 */
export function cooldownIn(options: StepDownOptions): number | undefined {
  refuseInvalid('The options of stepDown()', options, { cooldown: DURATION });
  return options.cooldown;
}

/** Takes part in an election. */
export interface Elector {
  /** The lease it is about. */
  readonly leaseName: string;
  /** The name under which this process takes part. */
  readonly identity: string;
  /** The clock it lives by, and with it whoever serves it: `LeaderService`, health. Default: the `SystemClock`. */
  readonly clock?: Clock;
  /** What it is doing. Looking checks the clocks first: a term that ran out is never shown. */
  readonly state: ElectorState;
  /**
   * Takes part until `signal` fires, then hands over if leading. Resolves when stopped: cancellation is not an
   * error, and neither is anything the API server does. It stays unresolved, and the lease stays renewed, for
   * as long as work of the term refuses to end.
   *
   * @throws LeaderError `LEADER_ALREADY_STARTED` when called a second time.
   */
  run(signal: AbortSignal, observer: ElectionObserver): Promise<void>;
  /**
   * Hands over while staying up. Resolves when the term has ended; at once when there is none. Called by work of that term,
   * which is waited for, it resolves as soon as the hand-over has begun.
   *
   * @throws InvalidOptionsError (as a rejection) `LEADER_INVALID_OPTIONS`
   */
  stepDown(options?: StepDownOptions): Promise<void>;
}

/** Whether this process wants to lead at the moment. While it does not, it follows; if it leads, it hands over. */
export interface Candidacy {
  readonly stands: boolean;
  /** Why it does not, if that is something to mend: told as an error, and shown in the state. */
  readonly objection: LeaderError | undefined;
  /** Begins to look, and calls back whenever the above may have changed, until the returned function is called. */
  observe(changed: () => void): Disposer;
}

/** Always wants to. */
export const ALWAYS: Candidacy = {
  stands: true,
  objection: undefined,
  observe: () => () => undefined,
};

/** Reports a failure as an election does, by its `error` event. The election goes on. */
export type Report = (error: LeaderError) => void;

/** Goes along with an election, and has no part in it. */
export interface Attendant {
  /** The election begins. */
  start(report: Report): void;
  onEvent?(event: ElectionEvent): void;
  /** The election has ended. */
  stop(): void | Promise<void>;
}

/**
 * What is done around every term besides the election itself: a label on the Pod, a route that is announced.
 *
 * The election waits for it, but never for long: the validity of the term runs meanwhile, and a leader that does not work is
 * worse than a label that is missing. Both methods may fail in any way: the failure is reported as an error, and the election
 * goes on.
 */
export interface TermGuard {
  /**
   * The lease is held. The term is announced, and its gate opens, when this has resolved or rejected, or when `signal` fires:
   * after `retryPeriod`, or because the term is over before its work began.
   */
  atStart(term: LeadershipTerm, signal: AbortSignal): Promise<void>;
  /**
   * Once for each `atStart`. In a hand-over: the work has ended, the lease is still renewed, and released when this has
   * resolved or rejected, or when `signal` fires, after `retryPeriod`. When the term was lost: at once, and nobody waits.
   */
  atEnd(term: LeadershipTerm, signal: AbortSignal): Promise<void>;
}
