import 'reflect-metadata';
import { UseInterceptors } from '@nestjs/common';
import { INTERCEPTORS_METADATA } from '@nestjs/common/constants.js';
import { InvalidOptionsError } from '../../election/internal.js';
import type { ElectionExplorer } from '../election.explorer.js';
import { gateOn } from './gate-key.js';
import { settingsOf, type GateSettings } from './gate.js';
import {
  decoratorsWithoutGuards,
  handlerKinds,
  isEventHandler,
  kindNamed,
  transportOf,
  unknownKind,
} from './handler-kind.js';
import { electionsRequiredBy } from './leader.guard.js';
import { LostEventsInterceptor, queueOf, warnOfQueue } from './lost-events.js';

/** An instance: Nest has looked for the classes of interceptors already. */
const lostEvents = new LostEventsInterceptor();

/**
 * Looks for mistakes in the decorators of all handlers. To be called at start, before Nest creates the contexts of handlers, when the
 * application has registered its kinds of handlers.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`: a kind that does not exist, or a guard where Nest calls none.
 * @throws LeaderError `LEADER_MODULE_MISSING`: a guard of an election that does not exist.
 */
export function checkHandlers(explorer: ElectionExplorer): void {
  const violations: string[] = [];
  for (const prototype of explorer.prototypes()) {
    const type = prototype.constructor;
    for (const [key, handler] of explorer.methodsOf(prototype)) {
      const name = `${type.name}.${key}()`;
      const gate = settingsOf(gateOn(prototype, key));
      if (gate?.kind !== undefined && !handlerKinds().includes(gate.kind))
        violations.push(`${name} is under @OnlyWhenLeader() whose ${unknownKind(gate.kind)}`);
      const required = electionsRequiredBy(handler, type);
      const unknown = required.find((election) => !explorer.elections.includes(election));
      if (unknown !== undefined) throw explorer.unknownElection(unknown, `${name} is under LeaderGuard`);
      const unguarded = decoratorsWithoutGuards(type, key, handler);
      if (required.length > 0 && gate === undefined && unguarded.length > 0)
        violations.push(
          `${name} is under LeaderGuard or @RequireLeader(), but what ${unguarded.join(' or ')} calls, Nest calls without guards: put ` +
            `@OnlyWhenLeader() on it`,
        );
      const isSkipped = required.length > 0 || (gate !== undefined && skips(gate));
      if (isEventHandler(handler) && isSkipped) tellOfQueues(name, { prototype, key, handler });
    }
  }
  if (violations.length > 0) throw new InvalidOptionsError(violations, 'The handlers of this application');
}

/** Whether a gate on a handler of events skips them. An unknown kind has been reported. */
function skips({ otherwise, kind = 'eventPattern' }: GateSettings): boolean {
  return (otherwise ?? (handlerKinds().includes(kind) && kindNamed(kind).onFollower)) === 'skip';
}

interface EventHandler {
  readonly prototype: object;
  readonly key: string;
  readonly handler: object;
}

function tellOfQueues(name: string, { prototype, key, handler }: EventHandler): void {
  const transport = transportOf(handler);
  const queue = queueOf(transport);
  if (queue !== undefined) warnOfQueue(name, queue);
  if (transport !== undefined) return;
  const given = (Reflect.getOwnMetadata(INTERCEPTORS_METADATA, handler) ?? []) as readonly unknown[];
  // Another application of this process may have the handler, too.
  if (!given.includes(lostEvents)) UseInterceptors(lostEvents)(prototype, key, { value: handler });
}
