import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pageDocument } from './page/document.js';
import { actions, type Command, type LiveRun, type Recording, type RunEvent } from './page/recording.js';

const HOST = '127.0.0.1';
const LONGEST_COMMAND = 1_000;

/** What the server shows, and to whom it gives the commands. */
export interface PageParts {
  live(): LiveRun;
  recording(): Recording;
  /** Calls `listener` with each event from now on, until the function that is returned is called. */
  subscribe(listener: (event: RunEvent) => void): () => void;
  /** @throws Error when the command cannot be obeyed. */
  obey(command: Command): void;
}

/**
 * Serves the page of the demo on the loopback interface: the document, the run as server-sent events, and the commands. It answers no
 * page of another site: not by a name that resolves to this machine (the `Host` must be its own), not by a request from elsewhere
 * (so must the `Origin`, which a command must have), and not in a frame.
 */
export class PageServer {
  readonly #parts: PageParts;
  readonly #http: Server;

  private constructor(parts: PageParts) {
    this.#parts = parts;
    this.#http = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        if (!response.headersSent) reply(response, 400, errorText(error));
      });
    });
  }

  /** Starts it on a free port. */
  static async start(parts: PageParts): Promise<PageServer> {
    const server = new PageServer(parts);
    server.#http.listen(0, HOST);
    await once(server.#http, 'listening');
    return server;
  }

  get url(): string {
    return `http://${HOST}:${String(this.#port)}/`;
  }

  /** Ends the open pages' streams and frees the port. */
  async stop(): Promise<void> {
    const closed = once(this.#http, 'close');
    this.#http.close();
    this.#http.closeAllConnections();
    await closed;
  }

  get #port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = this.#refusalOf(request);
    if (refusal !== undefined) {
      reply(response, 403, refusal);
      return;
    }
    switch (`${String(request.method)} ${String(request.url)}`) {
      case 'GET /':
        replyWithPage(response, pageDocument());
        return;
      case 'GET /run.html':
        response.setHeader('Content-Disposition', 'attachment; filename="nestjs-leader-run.html"');
        replyWithPage(response, pageDocument(this.#parts.recording()));
        return;
      case 'GET /events':
        this.#stream(response);
        return;
      case 'POST /commands':
        await this.#command(request, response);
        return;
      default:
        reply(response, 404, 'There is nothing here.');
    }
  }

  /** Why this request is not answered; undefined: it is. */
  #refusalOf({ method, headers }: IncomingMessage): string | undefined {
    const { host, origin } = headers;
    const hosts = [`${HOST}:${String(this.#port)}`, `localhost:${String(this.#port)}`];
    if (host === undefined || !hosts.includes(host))
      return `The Host header is ${JSON.stringify(host)}: it must be ${hosts.join(' or ')}.`;
    const own = `http://${host}`;
    const isForeign = origin === undefined ? method !== 'GET' : origin !== own;
    return isForeign ? `The Origin header is ${JSON.stringify(origin)}: it must be ${own}.` : undefined;
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    response.write(`event: run\ndata: ${JSON.stringify(this.#parts.live())}\n\n`);
    const unsubscribe = this.#parts.subscribe((event) => {
      response.write(`data: ${JSON.stringify(event)}\n\n`);
    });
    response.once('close', unsubscribe);
  }

  async #command(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) {
      body += String(chunk);
      if (body.length > LONGEST_COMMAND) throw new Error('The command is too long.');
    }
    const command = commandIn(body);
    try {
      this.#parts.obey(command);
      reply(response, 204);
    } catch (error) {
      reply(response, 409, errorText(error));
    }
  }
}

/** @throws Error when the text is not a command. */
function commandIn(text: string): Command {
  let command: Partial<Record<string, unknown>>;
  try {
    command = Object(JSON.parse(text)) as typeof command;
  } catch {
    throw new Error('The command is not JSON.');
  }
  if (command['do'] === 'startPollers') return { do: 'startPollers' };
  const action = actions.find((known) => known === command['do']);
  const lane = command['lane'];
  if (action === undefined || typeof lane !== 'string') {
    throw new Error(
      `A command is { "do": …, "lane": … }; "do" is startPollers or one of ${actions.join(', ')}.`,
    );
  }
  return { do: action, lane };
}

function replyWithPage(response: ServerResponse, page: string): void {
  response.writeHead(200, {
    'Content-Type': 'text/html; charset=utf-8',
    'Cache-Control': 'no-store',
    // No other page may show this one and lead clicks to it.
    'Content-Security-Policy': "frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(page);
}

function reply(response: ServerResponse, status: number, text?: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(text);
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
