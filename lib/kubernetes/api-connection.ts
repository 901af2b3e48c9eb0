/** One request to the API server. */
export interface ApiRequest {
  readonly method: 'GET' | 'PUT';
  /** Path and query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Ends the request. Nothing else ends a request that hangs. */
  readonly signal: AbortSignal;
  /** Open a new connection for the request, because an earlier request is still unanswered. */
  readonly newConnection: boolean;
  /**
   * Called with what the request waits for before it can be sent, for example `the credential plugin`, and with
   * undefined when it is sent. The time in between does not count as the API server's.
   */
  readonly preparing?: ((what: string | undefined) => void) | undefined;
}

/** A complete response. */
export interface ApiResponse {
  readonly status: number;
  /** By lower-case name. Only `retry-after` and `date` are used. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** A response whose body arrives in pieces while a watch lasts. */
export interface ApiStream extends AsyncIterable<Uint8Array> {
  readonly statusCode?: number | undefined;
  readonly headers: ApiResponse['headers'];
}

/**
 * Sends requests to one API server, with credentials. Implement it to reach an API server in your own way. If it
 * throws, the election assumes that the request may have been carried out.
 */
export interface ApiConnection {
  request(request: ApiRequest): Promise<ApiResponse>;
  /** Resolves when the headers have arrived. */
  stream(path: string, signal: AbortSignal): Promise<ApiStream>;
}
