/** The interface of an election to its users: states, events, and the ports that take part in it. */
import type { Clock, MonotonicMs, Disposer } from './clock.js';
import type { LeaderError } from './errors.js';
import type { HolderNote, LeaseLock, LeaseRecord, LeaseSnapshot } from './lease.js';
import type { Takeover } from './meter.js';
import { DURATION, refuseInvalid } from './options.js';
import type { LeadershipTerm, TermEndReason } from './term.js';
import type { WatchState } from './watch.js';

/** The condition of an elector's requests. Empty for an elector without a lease. */
export interface ElectionCondition {
  /**
   * All present problems, the most important first; `error` is the first. A problem of writes, reads or the watch stays until
   * one succeeds or none is wanted.
   */
  readonly problems?: readonly LeaderError[];
  /** The state of the watch. Unless it is `open`, the lease is polled. */
  readonly watch?: WatchState;
}

/** What an elector is doing. */
export type ElectorState =
  /** Not started. */
  | { readonly kind: 'idle' }
  /** Another process leads, or nobody does. */
  | (ElectionCondition & {
      readonly kind: 'following';
      /** The holder as last seen; `''` if there is none. It may have died since: see `expiresAt`. */
      readonly leader: string;
      /** What that holder tells about itself, if it does. */
      readonly leaderNote?: HolderNote | undefined;
      /** Until when that holder must be respected, on this process' monotonic clock. */
      readonly expiresAt: MonotonicMs | undefined;
      /** The most important present problem. */
      readonly error: LeaderError | undefined;
      /**
       * How many pieces of gated work of earlier terms still run. While there are any, this process does not campaign until
       * `drainTimeout` after the end of the last term.
       */
      readonly stillRunning: number;
      /** False: this process follows and never stands in this run. Left out otherwise. */
      readonly campaigns?: false;
    })
  /** This process leads. Check the term before each step that must not happen twice. */
  | (ElectionCondition & {
      readonly kind: 'leading';
      readonly term: LeadershipTerm;
      readonly error: LeaderError | undefined;
    })
  /** The term's work must stop. The lease is renewed until it has, then released. */
  | (ElectionCondition & {
      readonly kind: 'handingOver';
      readonly term: LeadershipTerm;
      readonly reason: TermEndReason;
      /** Who has asked for the lease, if somebody has. */
      readonly askedBy?: string | undefined;
      /** How many pieces of gated work still run. */
      readonly stillRunning: number;
      readonly error?: LeaderError | undefined;
    })
  /** Ended. */
  | { readonly kind: 'stopped' };

/**
 * The events of an elector, in order. The state has already changed when its event is emitted. Each `startedLeading` is
 * followed by exactly one `stoppedLeading` of the same term, and no other term starts in between.
 */
export type ElectionEvent =
  | { readonly type: 'stateChanged'; readonly state: ElectorState }
  | {
      readonly type: 'startedLeading';
      readonly term: LeadershipTerm;
      /** The state of the lease when the term began, if the elector has a lease. */
      readonly takeover?: Takeover | undefined;
    }
  | { readonly type: 'stoppedLeading'; readonly term: LeadershipTerm; readonly reason: TermEndReason }
  /** The holder has changed. It may be this process; `''` means none. */
  | { readonly type: 'newLeader'; readonly identity: string }
  /** Something failed. The elector continues. */
  | { readonly type: 'error'; readonly error: LeaderError };

/** Called synchronously. An error that it throws is reported as `LEADER_LISTENER_FAILED` and changes nothing. */
export type ElectionObserver = (event: ElectionEvent) => void;

/** The options of `stepDown()`. */
export interface StepDownOptions {
  /** How long not to campaign afterwards, in milliseconds. Default: `retryPeriod`. */
  readonly cooldown?: number | undefined;
}

/**
 * The cool-down in `options`, if any.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`
 */
export function cooldownIn(options: StepDownOptions): number | undefined {
  refuseInvalid('The options of stepDown()', options, { cooldown: DURATION });
  return options.cooldown;
}

/** Takes part in an election. */
export interface Elector {
  /** The name of the lease. */
  readonly leaseName: string;
  /** The name of this process in the election. */
  readonly identity: string;
  /** The clock of this elector, which `LeaderService` and health use, too. Default: the `SystemClock`. */
  readonly clock?: Clock;
  /** The present state. Reading it checks the clocks: a term that has run out is never shown. */
  readonly state: ElectorState;
  /**
   * Takes part until `signal` fires, then hands over if leading. Resolves when stopped; neither cancellation nor any failure
   * of the API server is an error. While work of the term does not end, it stays pending and the lease is renewed.
   *
   * @throws LeaderError `LEADER_ALREADY_STARTED` when called a second time.
   */
  run(signal: AbortSignal, observer: ElectionObserver): Promise<void>;
  /**
   * Hands over and stays a candidate. Resolves when the term has ended, or at once if there is none. When work of that term
   * calls it, it resolves as soon as the hand-over has begun, because the hand-over waits for that work.
   *
   * @throws InvalidOptionsError (as a rejection) `LEADER_INVALID_OPTIONS`
   */
  stepDown(options?: StepDownOptions): Promise<void>;
  /**
   * Call this when the process exits, in the event `exit`. It ends the term at once, although its work has not ended, fires
   * the term's signal, calls no observer, and returns the updates that release its leases. The caller sends them without the
   * event loop, which has ended. An elector without this method releases nothing at the exit.
   */
  endAtExit?(): readonly LeaseUpdate[];
}

/** A conditional update of a lease. */
export interface LeaseUpdate {
  readonly lock: LeaseLock;
  readonly base: LeaseSnapshot;
  readonly record: LeaseRecord;
}

/** Whether this process wants to lead. While it does not, it follows; if it leads, it hands over. */
export interface Candidacy {
  readonly stands: boolean;
  /** Why it does not, if that is an error: reported as an `error` event, and shown in the state. */
  readonly objection: LeaderError | undefined;
  /** True: it will not want to lead in this run. That is no error; the state shows it. Default false. */
  readonly abstains?: boolean;
  /** Calls `changed` whenever one of these may have changed, until the returned function is called. */
  observe(changed: () => void): Disposer;
}

/** A candidacy that always wants to lead. */
export const ALWAYS: Candidacy = {
  stands: true,
  objection: undefined,
  observe: () => () => undefined,
};

/**
 * Learns that the process that holds the lease is dead, so that others need not wait until the lease runs out
 * (ARCHITECTURE.md, rule 13).
 */
export interface ProofOfDeath {
  /**
   * What this process writes about itself into each record, so that others can learn of its death. Undefined while it knows
   * nothing certain. Read at each event of the election, so it must be quick.
   */
  readonly self: string | undefined;
  /**
   * Calls `gone`, perhaps at once, when it is certain that the process is dead that wrote `process` about itself. Never
   * because of what is missing, silent or unknown. Until the returned function is called.
   */
  follow(process: string, gone: () => void): Disposer;
}

/** Reports a failure as an `error` event of the election. The election continues. */
export type Report = (error: LeaderError) => void;

/** Accompanies an election without influence on it. */
export interface Attendant {
  /** Called when the election begins. */
  start(report: Report): void;
  onEvent?(event: ElectionEvent): void;
  /** Called when the election has ended. */
  stop(): void | Promise<void>;
}

/**
 * Actions at the start and end of every term: setting a label on the Pod, announcing a route.
 *
 * The election waits for them, but never for long: the validity of the term runs meanwhile, and a leader that does not work
 * is worse than a missing label. Failures of both methods are reported as errors, and the election continues.
 */
export interface TermGuard {
  /**
   * Called when the lease is held. The term is announced, and its gate opens, when this has settled or `signal` fires: after
   * `retryPeriod`, or because the term is already over.
   */
  atStart(term: LeadershipTerm, signal: AbortSignal): Promise<void>;
  /**
   * Called once for each `atStart`. In a hand-over: when the work has ended. The lease is renewed until this has settled or
   * `signal` fires, after `retryPeriod`, and then released. When the term was lost: at once, and the election does not wait.
   */
  atEnd(term: LeadershipTerm, signal: AbortSignal): Promise<void>;
}
