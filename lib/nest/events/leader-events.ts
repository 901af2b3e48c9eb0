/** What an application hears of its elections through `@nestjs/event-emitter`. */
import type { LeaderError, LeadershipTerm, TermEndReason } from '../../election/index.js';

/**
 * The names of the events: `@OnEvent(LeaderEvents.started)`. Every election of the application emits them; the payload says
 * which one.
 */
export const LeaderEvents = {
  /** This process leads: {@link LeaderStartedEvent}. */
  started: 'leader.started',
  /** A term of this process has ended: {@link LeaderStoppedEvent}. */
  stopped: 'leader.stopped',
  /** Another one leads, this process included, or nobody: {@link LeaderChangedEvent}. */
  changed: 'leader.changed',
  /** Something failed, the election goes on: {@link LeaderFailedEvent}. */
  failed: 'leader.failed',
} as const;

/** What every event says. */
export interface LeaderEvent {
  /** The election's name in this application. */
  readonly election: string;
  readonly leaseName: string;
  /** The name of this process. */
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
  /** Who leads, `''` for nobody. */
  readonly leader: string;
}

/** `leader.failed` */
export interface LeaderFailedEvent extends LeaderEvent {
  readonly error: LeaderError;
}
