import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { of, throwError, type Observable } from 'rxjs';
import { refusalIn, type Refusal } from './failure.js';
import { asGrpcStatus, endCall, grpcMetadataIn, isCallByHand } from './grpc-status.js';

/** Nest selects a filter by `instanceof`. This one matches refusals of any copy of this package. */
abstract class AnyRefusal extends Error {
  static override [Symbol.hasInstance](error: unknown): boolean {
    return refusalIn(error) !== undefined;
  }
}

/**
 * Sends a refusal, with its reason, to the client of a message or of a WebSocket. Nest's own filters send only exceptions of
 * @nestjs/microservices and @nestjs/websockets, and only from the copies that the application uses. This filter writes to the
 * transport itself and imports neither package.
 */
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
        // A GraphQL resolver: graphql-js sends the extensions of the error.
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

/** A client of socket.io, or a plain WebSocket, whose `emit` sends nothing but calls local listeners. */
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

/** The common members of Express' response and Fastify's reply. */
interface Response {
  status(code: number): { send(body: object): void };
}

/** Answers for a route that is also a handler of messages and has no gate itself. */
function answerRoute({ message, leader }: Refusal, response: Response): void {
  const body = { statusCode: 503, error: 'Service Unavailable', message, leader };
  response.status(503).send(body);
}
