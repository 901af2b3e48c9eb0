import type { ModulesContainer } from '@nestjs/core';
import type { LeaderService } from '../leader.service.js';
import {
  LeaderEvents,
  type LeaderChangedEvent,
  type LeaderEvent,
  type LeaderFailedEvent,
  type LeaderStartedEvent,
  type LeaderStoppedEvent,
} from './leader-events.js';

interface EventEmitter2 {
  /** As `emit`, but gives a promise that rejects when an async listener rejects. */
  emitAsync(event: string, payload: object): Promise<unknown>;
}

/**
 * Passes the events of an election to the EventEmitter2 of `@nestjs/event-emitter`, if the application has one. It is found in the
 * container and not imported, because most applications do not have the package. To be called before the campaign begins, so that
 * no event is missed. An error of a listener becomes `LEADER_LISTENER_FAILED`.
 */
export function emitEvents(leader: LeaderService, modules: ModulesContainer): void {
  const { election, leaseName, identity } = leader;
  const common: LeaderEvent = { election, leaseName, identity };
  for (const emitter of emittersIn(modules)) {
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
}

function emittersIn(modules: ModulesContainer): Set<EventEmitter2> {
  const emitters = new Set<EventEmitter2>();
  for (const { providers } of modules.values()) {
    for (const [token, { instance }] of providers) {
      if (isItsClass(token) && isEmitter(instance)) emitters.add(instance);
    }
  }
  return emitters;
}

/** Recognizes the class by a property, because many classes have its name, `EventEmitter`. */
function isItsClass(token: unknown): boolean {
  return typeof token === 'function' && 'EventEmitter2' in token && token.EventEmitter2 === token;
}

function isEmitter(instance: unknown): instance is EventEmitter2 {
  return typeof instance === 'object' && instance !== null && 'emitAsync' in instance;
}
