import type { LeaseVerb } from './routes.js';

/** One request. */
export interface LoggedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** Undefined when the request is not about Leases. */
  readonly verb: LeaseVerb | undefined;
  readonly namespace: string;
  readonly name: string;
  readonly user: string;
  /** The status of the answer; undefined until there is one, and for ever if the answer is dropped. */
  readonly status: number | undefined;
}

/** How many requests are kept. */
const MAX_REQUESTS = 1_000;

interface Waiting {
  readonly matches: (request: LoggedRequest) => boolean;
  readonly resolve: (request: LoggedRequest) => void;
}

/** Records the requests to the server, for assertions. */
export class RequestLog {
  readonly #requests: LoggedRequest[] = [];
  readonly #waiting = new Set<Waiting>();

  /** The latest thousand, oldest first. */
  get requests(): readonly LoggedRequest[] {
    return [...this.#requests];
  }

  /** Records a request. The returned function records its answer. */
  arrived(request: Omit<LoggedRequest, 'status'>): (status: number) => void {
    const logged: { -readonly [K in keyof LoggedRequest]: LoggedRequest[K] } = {
      ...request,
      status: undefined,
    };
    this.#requests.push(logged);
    if (this.#requests.length > MAX_REQUESTS) this.#requests.shift();
    this.#notify(logged);
    return (status) => {
      logged.status = status;
      this.#notify(logged);
    };
  }

  /** The next request to arrive or to be answered from now on that matches. */
  next(matches: (request: LoggedRequest) => boolean): Promise<LoggedRequest> {
    return new Promise((resolve) => {
      this.#waiting.add({ matches, resolve });
    });
  }

  #notify(request: LoggedRequest): void {
    for (const waiting of this.#waiting) {
      if (!waiting.matches(request)) continue;
      this.#waiting.delete(waiting);
      waiting.resolve(request);
    }
  }
}
