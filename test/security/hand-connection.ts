/** A transport without a network: it answers as a test says, and its watches tell what a test pushes. */
import type { ApiConnection, ApiRequest, ApiResponse, ApiStream } from '../../lib/kubernetes/index.js';
import { leaseOf } from '../kubernetes/lease-fixtures.js';

export class HandConnection implements ApiConnection {
  readonly requests: ApiRequest[] = [];
  /** The paths of the watches that were opened. */
  readonly watches: string[] = [];
  #push: (bytes: Uint8Array | undefined) => void = () => undefined;

  /** @param respond what to answer; anything that JavaScript has, for a transport may be anybody's. */
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

  /** The newest watch tells of that. */
  tell(type: string, object: unknown): void {
    this.#push(Buffer.from(`${JSON.stringify({ type, object })}\n`));
  }
}

/** An answer with that in its body. */
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

/** One Lease, kept as an API server keeps it. */
export class KeptLease {
  /** As it is stored, with its metadata; undefined: there is none. */
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
