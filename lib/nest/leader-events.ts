import type { LeaderError, LeadershipTerm, TermEndReason } from '../election/internal.js';
import type { LeaderService } from './leader.service.js';

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
  /** An error occurred; the election goes on: {@link LeaderFailedEvent}. */
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

/** `leader.stopped`. The term's signal has already fired. */
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

/** The emitter of `@nestjs/event-emitter`, which most applications do not have, so it is not imported. */
export interface EventEmitter2 {
  /** As `emit`, but returns a promise that rejects when an async listener rejects. */
  emitAsync(event: string, payload: object): Promise<unknown>;
}

/**
 * Passes the events of an election to an emitter. To be called before the campaign begins, so that no event is missed. An error of
 * a listener becomes `LEADER_LISTENER_FAILED`.
 */
export function emitEvents(leader: LeaderService, emitter: EventEmitter2): void {
  const { election, leaseName, identity } = leader;
  const common: LeaderEvent = { election, leaseName, identity };
  leader.on('startedLeading', ({ term }) =>
    emitter.emitAsync(LeaderEvents.started, { ...common, term } satisfies LeaderStartedEvent),
  );
  leader.on('stoppedLeading', ({ term, reason }) =>
    emitter.emitAsync(LeaderEvents.stopped, { ...common, term, reason } satisfies LeaderStoppedEvent),
  );
  leader.on('newLeader', ({ identity: seen }) =>
    emitter.emitAsync(LeaderEvents.changed, { ...common, leader: seen } satisfies LeaderChangedEvent),
  );
  leader.on('error', ({ error }) =>
    emitter.emitAsync(LeaderEvents.failed, { ...common, error } satisfies LeaderFailedEvent),
  );
}
