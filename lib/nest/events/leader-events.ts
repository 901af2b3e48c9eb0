import type { LeaderError, LeadershipTerm, TermEndReason } from '../../election/index.js';

/**
 * The names of the events for `@nestjs/event-emitter`: `@OnEvent(LeaderEvents.started)`. Every election of the application emits
 * them; the payload contains the name of the election.
 */
export const LeaderEvents = {
  /** This process leads: {@link LeaderStartedEvent}. */
  started: 'leader.started',
  /** A term of this process has ended: {@link LeaderStoppedEvent}. */
  stopped: 'leader.stopped',
  /** Another process leads, or this one, or nobody any more: {@link LeaderChangedEvent}. */
  changed: 'leader.changed',
  /** An error occurred, and the election goes on: {@link LeaderFailedEvent}. */
  failed: 'leader.failed',
} as const;

/** The payload of every event. */
export interface LeaderEvent {
  /** The election's name in this application. */
  readonly election: string;
  readonly leaseName: string;
  /** The identity of this process. */
  readonly identity: string;
}

/** `leader.started` */
export interface LeaderStartedEvent extends LeaderEvent {
  readonly term: LeadershipTerm;
}

/** `leader.stopped`: the term's signal has fired before. */
export interface LeaderStoppedEvent extends LeaderEvent {
  readonly term: LeadershipTerm;
  readonly reason: TermEndReason;
}

/** `leader.changed` */
export interface LeaderChangedEvent extends LeaderEvent {
  /** The identity of the leader; `''` for nobody. */
  readonly leader: string;
}

/** `leader.failed` */
export interface LeaderFailedEvent extends LeaderEvent {
  readonly error: LeaderError;
}
