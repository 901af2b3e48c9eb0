import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { ElectionLog } from '../election-log.js';
import { transportOf } from './handler-kind.js';

/** `Transport.RMQ` and `Transport.KAFKA`: each event goes to one replica, whichever. */
const QUEUES: Readonly<Record<number, string>> = { 5: 'RabbitMQ', 6: 'Kafka' };

/** The classes of the contexts of these transports, by name, because @nestjs/microservices is optional and not imported. */
const CONTEXTS: Readonly<Record<string, string>> = { RmqContext: 'RabbitMQ', KafkaContext: 'Kafka' };

/** The handlers of which an event told. */
const warned = new WeakSet<object>();

/** The name of a transport that is a queue; undefined for another one. */
export function queueOf(transport: number | undefined): string | undefined {
  return transport === undefined ? undefined : QUEUES[transport];
}

/** Warns of a handler whose events a follower skips although no other replica gets them. */
export function warnOfQueue(name: string, queue: string): void {
  ElectionLog.logger.warn(
    `${name} handles events of ${queue} only while this process leads. ${queue} gives each event to one replica: a follower that ` +
      `gets it skips it, and it is lost. Consume in the leader only, or write events down in every replica and let the leader do the ` +
      `work: see docs/recipes/microservices.md.`,
  );
}

/** The same, once for each handler, if the event of this context comes from a queue, and its decorator did not tell at start. */
export function warnOfLostEvent(context: ExecutionContext): void {
  const source: object | null | undefined = context.switchToRpc().getContext();
  const queue = source === undefined || source === null ? undefined : CONTEXTS[source.constructor.name];
  const handler = context.getHandler();
  if (queue === undefined || transportOf(handler) !== undefined || warned.has(handler)) return;
  warned.add(handler);
  warnOfQueue(`${context.getClass().name}.${handler.name}()`, queue);
}

/**
 * For a handler of events whose decorator names no transport. Nest does not show at start to which transports an application listens, so the
 * first event tells.
 */
export class LostEventsInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    warnOfLostEvent(context);
    return next.handle();
  }
}
