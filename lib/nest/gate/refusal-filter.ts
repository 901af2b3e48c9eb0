/**
 * Tells the clients of messages and of WebSockets why they are refused. Nest's own filters tell a client only of exceptions
 * of certain classes, and would have to be met with those of the very copy that the application runs on; a filter speaks to
 * the transport itself, and needs none of its packages.
 */
import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { of, throwError, type Observable } from 'rxjs';
import { refusalIn, type Refusal } from './failure.js';
import { asGrpcStatus, endCall, grpcMetadataIn, isCallByHand } from './grpc-status.js';

/** Nest asks by `instanceof` whether a filter is for an error; of refusals there may be another copy. */
abstract class AnyRefusal extends Error {
  static override [Symbol.hasInstance](error: unknown): boolean {
    return refusalIn(error) !== undefined;
  }
}

/** On every handler of messages, gated or not: a gate may stand further in. */
@Catch(AnyRefusal)
export class RefusalFilter implements ExceptionFilter {
  catch(error: Error, host: ArgumentsHost): unknown {
    const refusal = refusalIn(error);
    if (refusal === undefined) throw error;
    switch (host.getType()) {
      case 'rpc':
        return answerMessage(refusal, host.getArgs());
      case 'ws':
        tellSocket(refusal, host.switchToWs().getClient());
        return undefined;
      case 'http':
        answerRoute(refusal, host.switchToHttp().getResponse());
        return undefined;
      default:
        // A resolver of GraphQL, which takes it as it is.
        throw error;
    }
  }
}

function answerMessage(refusal: Refusal, args: readonly unknown[]): Observable<unknown> {
  const metadata = grpcMetadataIn(args);
  if (metadata === undefined) return throwError(() => refusal);
  const status = asGrpcStatus(refusal, metadata);
  if (!isCallByHand(args)) return throwError(() => status);
  endCall(args, status);
  return of(undefined);
}

/** A client of socket.io, or a plain WebSocket, whose `emit` stays inside this process. */
interface Client {
  readonly readyState?: unknown;
  send(text: string): void;
  emit(event: string, data: object): void;
}

function tellSocket(refusal: Refusal, client: Client): void {
  if (typeof client.readyState === 'number')
    client.send(JSON.stringify({ event: 'exception', data: refusal }));
  else client.emit('exception', refusal);
}

/** What Express' response and Fastify's reply have in common. */
interface Response {
  status(code: number): { send(body: object): void };
}

/** A handler of messages that is a route, too, and has no gate of its own. */
function answerRoute({ message, leader }: Refusal, response: Response): void {
  const body = { statusCode: 503, error: 'Service Unavailable', message, leader };
  response.status(503).send(body);
}
