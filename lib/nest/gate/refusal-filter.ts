import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { of, throwError, type Observable } from 'rxjs';
import { SkippedEvent, refusalIn, type RefusalData } from './failure.js';

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

/** Ends the handling of an event that a guard skipped, as if the handler had done nothing. */
@Catch(SkippedEvent)
export class SkippedEventFilter implements ExceptionFilter {
  catch(): Observable<unknown> {
    // Kafka's server waits for a value.
    return of(undefined);
  }
}

function answerMessage(refusal: RefusalData, args: readonly unknown[]): Observable<unknown> {
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

function tellSocket(refusal: RefusalData, client: Client): void {
  if (typeof client.readyState === 'number')
    client.send(JSON.stringify({ event: 'exception', data: refusal }));
  else client.emit('exception', refusal);
}

/** The common members of Express' response and Fastify's reply. */
interface Response {
  status(code: number): { send(body: object): void };
}

/** Answers for a route that is also a handler of messages and has no gate itself. */
function answerRoute({ message, leader }: RefusalData, response: Response): void {
  const body = { statusCode: 503, error: 'Service Unavailable', message, leader };
  response.status(503).send(body);
}

// gRPC, recognized by its arguments: @grpc/grpc-js is optional and not imported

/** `Metadata` of @grpc/grpc-js. This package does not import that: it takes the class from the arguments of the call. */
interface Metadata {
  set(key: string, value: string): void;
  getMap(): object;
}

/** UNAVAILABLE: the caller may try again, with another replica. @see https://grpc.io/docs/guides/status-codes */
const UNAVAILABLE = 14;

interface GrpcStatus {
  readonly code: number;
  readonly message: string;
  readonly details: string;
  readonly metadata: Metadata;
}

interface Call {
  readonly metadata: Metadata;
  emit(event: 'error', status: GrpcStatus): void;
}

type Callback = (status: GrpcStatus) => void;

/** The metadata, if these are the arguments of a gRPC handler: (request, metadata, call), or (call, callback). */
function grpcMetadataIn([first, second]: readonly unknown[]): Metadata | undefined {
  if (isMetadata(second)) return second;
  return isCall(first) ? first.metadata : undefined;
}

/** Under `@GrpcStreamCall` the handler answers the call itself, and Nest ignores what it returns. */
function isCallByHand([first]: readonly unknown[]): boolean {
  return isCall(first);
}

/** Ends a `@GrpcStreamCall` with a status. */
function endCall([call, callback]: readonly unknown[], status: GrpcStatus): void {
  if (typeof callback === 'function') (callback as Callback)(status);
  else (call as Call).emit('error', status);
}

/** UNAVAILABLE, with `code` and `leader` in the trailing metadata. */
function asGrpcStatus({ code, message, leader }: RefusalData, sent: Metadata): GrpcStatus {
  const metadata = new (sent.constructor as new () => Metadata)();
  metadata.set('code', code);
  if (leader !== undefined) metadata.set('leader', printable(leader));
  return { code: UNAVAILABLE, message, details: message, metadata };
}

/** Values of metadata must be ASCII. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, (other) => encodeURIComponent(Buffer.from(other).toString()));
}

function isCall(value: unknown): value is Call {
  return typeof value === 'object' && value !== null && 'metadata' in value && isMetadata(value.metadata);
}

function isMetadata(value: unknown): value is Metadata {
  if (typeof value !== 'object' || value === null || !('set' in value) || !('getMap' in value)) return false;
  return typeof value.set === 'function' && typeof value.getMap === 'function' && !(value instanceof Map);
}
