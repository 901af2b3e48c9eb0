/** A small client of the embedded server. */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
}

export class LeaseClient {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(url: string, token?: string) {
    this.#url = `${url}/apis/coordination.k8s.io/v1/namespaces/default/leases`;
    this.#token = token;
  }

  get(name = 'a', signal?: AbortSignal): Promise<Answer> {
    return this.#answer('GET', `/${name}`, undefined, signal);
  }

  /** Creates the Lease by PUT. */
  make(holderIdentity: string, name = 'a', signal?: AbortSignal): Promise<Answer> {
    return this.#answer('PUT', `/${name}`, { metadata: { name }, spec: { holderIdentity } }, signal);
  }

  /** Opens a watch. Resolves when the headers have arrived. */
  async watch(query = ''): Promise<Watch> {
    return new Watch(await this.#open('GET', `?watch=1${query}`));
  }

  close(): void {
    this.#agent.destroy();
  }

  async #answer(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<Answer> {
    const response = await this.#open(method, path, body, signal);
    let text = '';
    for await (const chunk of response as AsyncIterable<Buffer>) text += chunk.toString('utf8');
    return { status: response.statusCode ?? 0, headers: response.headers, text };
  }

  #open(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<IncomingMessage> {
    const headers = {
      ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    const options = { method, headers, agent: this.#agent, ...(signal !== undefined && { signal }) };
    return new Promise((resolve, reject) => {
      const request = httpRequest(this.#url + path, options, resolve);
      request.on('error', reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

/** Reads a watch, one event at a time. */
export class Watch {
  readonly #lines: AsyncGenerator<string>;

  constructor(response: IncomingMessage) {
    this.#lines = linesOf(response);
  }

  /** The next event in short, such as `ADDED me`; undefined at a clean end. Rejects when the connection is cut. */
  async next(): Promise<string | undefined> {
    const line = await this.#lines.next();
    if (line.done === true) return undefined;
    const { type, object } = JSON.parse(line.value) as {
      type: string;
      object: { spec?: { holderIdentity?: string }; code?: number };
    };
    return `${type} ${String(object.spec?.holderIdentity ?? object.code)}`;
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
