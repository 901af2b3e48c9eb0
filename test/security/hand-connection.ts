/** A transport without a network: a test decides its answers and the events of its watches. */
import type { ApiConnection, ApiRequest, ApiResponse, ApiStream } from '../../lib/kubernetes/index.js';
import { leaseOf } from '../kubernetes/lease-fixtures.js';

export class HandConnection implements ApiConnection {
  readonly requests: ApiRequest[] = [];
  /** The paths of the watches that were opened. */
  readonly watches: string[] = [];
  #push: (bytes: Uint8Array | undefined) => void = () => undefined;

  /** @param respond returns the answer: any value, because users may provide the transport. */
  constructor(readonly respond: (request: ApiRequest) => unknown) {}

  request(request: ApiRequest): Promise<ApiResponse> {
    this.requests.push(request);
    return Promise.resolve(this.respond(request) as ApiResponse);
  }

  stream(path: string, signal: AbortSignal): Promise<ApiStream> {
    this.watches.push(path);
    const pushed: (Uint8Array | undefined)[] = [];
    let wake: () => void = () => undefined;
    this.#push = (bytes) => {
      pushed.push(bytes);
      wake();
    };
    signal.addEventListener('abort', () => {
      this.#push(undefined);
    });
    async function* body(): AsyncGenerator<Uint8Array> {
      for (;;) {
        while (pushed.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        const next = pushed.shift();
        if (next === undefined) return;
        yield next;
      }
    }
    return Promise.resolve(Object.assign(body(), { statusCode: 200, headers: {} }));
  }

  /** Sends an event to the newest watch. */
  tell(type: string, object: unknown): void {
    this.#push(Buffer.from(`${JSON.stringify({ type, object })}\n`));
  }
}

/** An answer with this body. */
export function ok(body: unknown, status = 200): ApiResponse {
  return { status, headers: {}, text: typeof body === 'string' ? body : JSON.stringify(body) };
}

/** The stream of a watch that sends these pieces, whatever they are, and ends. */
export function streamOf(pieces: Iterable<unknown>): ApiStream {
  const iterate = (): AsyncIterator<Uint8Array> => {
    const iterator = pieces[Symbol.iterator]() as Iterator<Uint8Array>;
    return { next: () => Promise.resolve(iterator.next()) };
  };
  return { statusCode: 200, headers: {}, [Symbol.asyncIterator]: iterate };
}

/** One Lease, stored as on an API server. */
export class KeptLease {
  /** The stored Lease; undefined if there is none. */
  stored: { metadata: Record<string, unknown>; spec: Record<string, unknown> } | undefined;
  #version = 7;

  readonly respond = ({ method, body }: ApiRequest): ApiResponse => {
    const noLease = { kind: 'Status', reason: 'NotFound', details: { kind: 'leases' } };
    if (method === 'GET') return this.stored === undefined ? ok(noLease, 404) : ok(this.stored);
    const { metadata, spec } = body as NonNullable<KeptLease['stored']>;
    const { uid, resourceVersion } = this.stored?.metadata ?? {};
    if (metadata['uid'] !== uid || metadata['resourceVersion'] !== resourceVersion)
      return ok({ kind: 'Status', reason: 'Conflict' }, 409);
    this.#version += 1;
    const stored = leaseOf(spec, { ...metadata, uid: 'u1', resourceVersion: String(this.#version) });
    this.stored = stored as NonNullable<KeptLease['stored']>;
    return ok(this.stored);
  };
}
