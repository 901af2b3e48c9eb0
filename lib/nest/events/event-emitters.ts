/**
 * Hands an election's events on to the EventEmitter2 of `@nestjs/event-emitter`, where an application has one. Found in
 * the container, never imported: most applications do not have the package.
 */
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
  /** As `emit`, but what async listeners reject with is told, and not an unhandled rejection. */
  emitAsync(event: string, payload: object): Promise<unknown>;
}

/** Before the campaign begins, so that nothing is missed. What their listeners throw becomes `LEADER_LISTENER_FAILED`. */
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

/** The class is called `EventEmitter`, as many are, but names itself as a property. */
function isItsClass(token: unknown): boolean {
  return typeof token === 'function' && 'EventEmitter2' in token && token.EventEmitter2 === token;
}

function isEmitter(instance: unknown): instance is EventEmitter2 {
  return typeof instance === 'object' && instance !== null && 'emitAsync' in instance;
}
