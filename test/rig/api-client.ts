/** A client of the real API server, with which tests prepare and inspect it. It is not the code under test. */
import https from 'node:https';

export interface ApiAnswer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
  /** The parsed body; undefined if it is not JSON. */
  readonly json: unknown;
}

export interface ApiCall {
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly contentType?: string;
  /** Default: two minutes, so that a test fails instead of hanging. */
  readonly patienceMs?: number;
}

export class ApiClient {
  readonly #url: string;
  readonly #ca: string;
  readonly #token: string;

  constructor(url: string, ca: string, token: string) {
    this.#url = url;
    this.#ca = ca;
    this.#token = token;
  }

  request(method: string, path: string, call: ApiCall = {}): Promise<ApiAnswer> {
    const { token = this.#token, body, contentType = 'application/json', patienceMs = 120_000 } = call;
    const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const request = https.request(`${this.#url}${path}`, {
        method,
        ca: this.#ca,
        agent: false,
        timeout: patienceMs,
        headers: {
          ...(token !== '' && { Authorization: `Bearer ${token}` }),
          ...(text !== undefined && {
            'Content-Type': contentType,
            'Content-Length': Buffer.byteLength(text),
          }),
        },
      });
      request.on('timeout', () => request.destroy(new Error(`${method} ${path}: no answer`)));
      request.on('error', reject);
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString('utf8');
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: answer,
            json: parse(answer),
          });
        });
      });
      request.end(text);
    });
  }

  /** Like `request`. @throws Error if the status is not 2xx. */
  async demand(method: string, path: string, call: ApiCall = {}): Promise<ApiAnswer> {
    const answer = await this.request(method, path, call);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw new Error(`${method} ${path} was answered ${String(answer.status)}: ${answer.text}`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
