import type { Refusal } from './failure.js';

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
export function grpcMetadataIn([first, second]: readonly unknown[]): Metadata | undefined {
  if (isMetadata(second)) return second;
  return isCall(first) ? first.metadata : undefined;
}

/** Under `@GrpcStreamCall` the handler answers the call itself, and Nest ignores what it returns. */
export function isCallByHand([first]: readonly unknown[]): boolean {
  return isCall(first);
}

/** Ends a `@GrpcStreamCall` with a status. */
export function endCall([call, callback]: readonly unknown[], status: GrpcStatus): void {
  if (typeof callback === 'function') (callback as Callback)(status);
  else (call as Call).emit('error', status);
}

/** UNAVAILABLE, with `code` and `leader` in the trailing metadata. */
export function asGrpcStatus({ code, message, leader }: Refusal, sent: Metadata): GrpcStatus {
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
