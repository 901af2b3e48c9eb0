/** A request that got no response. */
export class TransportError extends Error {
  override readonly name = 'TransportError';

  constructor(
    /** The code of Node's error, e.g. `ECONNREFUSED`. */
    readonly code: string,
    /** The request may have reached the server. */
    readonly sent: boolean,
    options?: ErrorOptions,
  ) {
    super(code, options);
  }
}

/** The code of the {@link TransportError} when the caller's signal fired; its `cause` is the signal's reason. */
export const ABORTED = 'ABORTED';

/** The code of the {@link TransportError} for a response or an event that is longer than any object. */
export const TOO_LONG = 'RESPONSE_TOO_LONG';

/** The code of Node for a connection that ended under a request. */
export const CONNECTION_LOST = 'ECONNRESET';

export function aborted(signal: AbortSignal, sent: boolean): TransportError {
  return new TransportError(ABORTED, sent, { cause: signal.reason });
}

export function asTransportError(error: unknown, sent: boolean): TransportError {
  if (error instanceof TransportError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? 'UNKNOWN';
  return new TransportError(code, sent, { cause: withoutExtras(error) });
}

/** The fields of Node's own errors. */
const nodeFields = ['code', 'errno', 'syscall', 'address', 'port', 'hostname', 'library', 'reason'] as const;

/** Keeps only these fields: errors of other libraries have more, for example a SOCKS client's options with the proxy's password. */
function withoutExtras(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  const { message, stack, errors } = error as AggregateError;
  const kept = nodeFields.filter((field) => field in error).map((field) => [field, error[field as never]]);
  // One error for each address of a name.
  const each = Array.isArray(errors) ? { errors: errors.map(withoutExtras) } : {};
  return Object.assign(new Error(message), { stack }, Object.fromEntries(kept), each);
}
