/** A client for either server: plain requests, and watches read line by line. */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the administrator's. `''`: none. */
  readonly token?: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
}

export class ApiConnection {
  readonly #url: URL;
  readonly #ca: string | undefined;
  #agent: HttpAgent | HttpsAgent;

  constructor(url: string, ca: string | undefined) {
    this.#url = new URL(url);
    this.#ca = ca;
    this.#agent = newAgent(ca);
  }

  async send(request: ApiRequest): Promise<ApiAnswer> {
    const response = await this.#open(request);
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString('utf8');
    return { status: response.statusCode ?? 0, headers: response.headers, text };
  }

  /** Host and port. */
  get address(): string {
    return this.#url.host;
  }

  async watch(path: string, headers: Readonly<Record<string, string>> = {}): Promise<WatchReader> {
    const response = await this.#open({ method: 'GET', path, headers });
    return new WatchReader(response);
  }

  /** Closes the connections and begins anew. */
  renew(): void {
    this.#agent.destroy();
    this.#agent = newAgent(this.#ca);
  }

  close(): void {
    this.#agent.destroy();
  }

  #open({ method, path, body, headers = {}, token = 'admin-token' }: ApiRequest): Promise<IncomingMessage> {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const isSilent = headers['content-type'] === '';
    const all: Record<string, string> = {
      ...(token !== '' && { authorization: `Bearer ${token}` }),
      ...(text !== undefined && {
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(text)),
      }),
      'user-agent': 'contract/1',
      ...headers,
    };
    if (isSilent) delete all['content-type'];
    const options = {
      method,
      agent: this.#agent,
      headers: all,
      ...(this.#ca !== undefined && { ca: this.#ca }),
    };
    return new Promise((resolve, reject) => {
      const send = this.#ca === undefined ? httpRequest : httpsRequest;
      const request = send(new URL(path, this.#url), options, resolve);
      request.on('error', reject);
      request.end(text);
    });
  }
}

function newAgent(ca: string | undefined): HttpAgent | HttpsAgent {
  return ca === undefined ? new HttpAgent({ keepAlive: true }) : new HttpsAgent({ keepAlive: true });
}

export interface WatchLine {
  readonly type: string;
  readonly object: Readonly<Record<string, unknown>>;
}

/** Reads a watch, one event at a time. */
export class WatchReader {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly #response: IncomingMessage;
  readonly #lines: AsyncGenerator<string>;

  constructor(response: IncomingMessage) {
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    this.#response = response;
    this.#lines = linesOf(response);
  }

  /** The next event; undefined when the watch has ended. */
  async next(): Promise<WatchLine | undefined> {
    const line = await this.#lines.next();
    return line.done === true ? undefined : (JSON.parse(line.value) as WatchLine);
  }

  /** All events until the watch ends. */
  async rest(): Promise<WatchLine[]> {
    const events: WatchLine[] = [];
    for (let event = await this.next(); event !== undefined; event = await this.next()) events.push(event);
    return events;
  }

  close(): void {
    this.#response.destroy();
  }
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let unfinished = '';
  for await (const chunk of response as AsyncIterable<Buffer>) {
    const lines = (unfinished + chunk.toString('utf8')).split('\n');
    unfinished = lines.pop() ?? '';
    yield* lines;
  }
}
