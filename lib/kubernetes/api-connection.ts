/** The port between the lock and HTTP: put another one in its place to reach an API server in your own way. */

/** One request to the API server. */
export interface ApiRequest {
  readonly method: 'GET' | 'PUT';
  /** Path and query. */
  readonly path: string;
  /** To be sent as JSON. */
  readonly body?: unknown;
  /** The only end of a request that hangs. */
  readonly signal: AbortSignal;
  /** An earlier request is still unanswered: use another connection than any that exists. */
  readonly newConnection: boolean;
  /**
   * Tell it what the request waits for before it can be sent (`the credential plugin`), and undefined when it is sent: that
   * time is not the API server's, and counts by itself.
   */
  readonly preparing?: ((what: string | undefined) => void) | undefined;
}

/** The whole of a response. */
export interface ApiResponse {
  readonly status: number;
  /** By lower-case name; `retry-after` is looked at. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** A response whose body arrives bit by bit, for as long as a watch lasts. */
export interface ApiStream extends AsyncIterable<Uint8Array> {
  readonly statusCode?: number | undefined;
  readonly headers: ApiResponse['headers'];
}

/**
 * Makes requests to one API server, credentials included. Whatever it throws counts as a request that may have been
 * carried out.
 */
export interface ApiConnection {
  request(request: ApiRequest): Promise<ApiResponse>;
  /** Resolves when the headers are there. */
  stream(path: string, signal: AbortSignal): Promise<ApiStream>;
}
