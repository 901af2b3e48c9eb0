import type http from 'node:http';
import type https from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { loadKubeConfig } from './kube-config.js';
import type { KubernetesSource } from './kubernetes-source.js';
import { Transport, type HttpResponse, type Route, type TlsMaterial } from './transport.js';
import { USER_AGENT } from './user-agent.js';

/** One request to the API server. */
export interface ApiRequest {
  readonly method: 'GET' | 'PUT';
  /** Path and query. */
  readonly path: string;
  readonly body?: unknown;
  readonly signal: AbortSignal;
  readonly newConnection: boolean;
}

interface Access {
  readonly route: Route;
  readonly headers: Readonly<Record<string, string>>;
  readonly server: string;
}

/**
 * The way to one API server, shared by any number of leases. Making one costs nothing: the configuration, and with it
 * `@kubernetes/client-node`, is loaded by `start()` or the first request, again by the next one if that failed, and
 * anew whenever the server refuses the credentials.
 */
export class KubernetesConnection {
  readonly #source: KubernetesSource;
  readonly #transport = new Transport();
  #config: Promise<KubeConfig> | undefined;

  constructor(source: KubernetesSource = {}) {
    this.#source = source;
  }

  /**
   * Loads the configuration now.
   *
   * @throws LeaseRequestError `LEADER_NO_CLUSTER`, `LEADER_KUBECONFIG_INVALID`
   */
  async start(): Promise<void> {
    await this.#load();
  }

  /**
   * Makes a request; on 401 reads the credentials anew and makes it once more.
   *
   * @throws TransportError when there was no response, LeaseRequestError as `start`, the signal's reason if it fired.
   */
  async request(request: ApiRequest): Promise<HttpResponse> {
    const response = await this.#exchange(request);
    if (response.status !== 401) return response;
    this.#config = undefined;
    return this.#exchange(request);
  }

  /** Opens a stream on a connection of its own; its body is the caller's to read. As `request` otherwise. */
  async stream(path: string, signal: AbortSignal): Promise<http.IncomingMessage> {
    const response = await this.#open(path, signal);
    if (response.statusCode !== 401) return response;
    response.destroy();
    this.#config = undefined;
    return this.#open(path, signal);
  }

  /** Ends every connection of the pool. The next request opens another. */
  close(): void {
    this.#transport.close();
  }

  async #exchange({ method, path, body, signal, newConnection }: ApiRequest): Promise<HttpResponse> {
    const { route, headers, server } = await this.#access();
    const text = body === undefined ? undefined : JSON.stringify(body);
    return this.#transport.exchange(
      {
        method,
        url: urlOf(server, path),
        headers: text === undefined ? headers : { ...headers, ...contentHeaders(text) },
        ...(text !== undefined && { body: text }),
        signal,
        newConnection,
      },
      route,
    );
  }

  async #open(path: string, signal: AbortSignal): Promise<http.IncomingMessage> {
    const { route, headers, server } = await this.#access();
    const request = {
      method: 'GET',
      url: urlOf(server, path),
      headers,
      signal,
      newConnection: true,
    } as const;
    return this.#transport.open(request, route);
  }

  /** Asked of client-node for every request: it knows when a token file, a plugin's token or a certificate is stale. */
  async #access(): Promise<Access> {
    const config = await this.#load();
    const options: https.RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const cluster = config.getCurrentCluster();
    const headers: Record<string, string> = { Accept: 'application/json', 'User-Agent': USER_AGENT };
    for (const [name, value] of Object.entries(options.headers ?? {})) headers[name] = String(value);
    if (options.auth) headers['Authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
    return {
      server: cluster?.server ?? '',
      headers,
      route: {
        tls: tlsOf(options, cluster?.tlsServerName),
        proxied: cluster?.proxyUrl === undefined ? undefined : () => options.agent as http.Agent,
      },
    };
  }

  #load(): Promise<KubeConfig> {
    this.#config ??= loadKubeConfig(this.#source).catch((error: unknown) => {
      this.#config = undefined;
      throw error;
    });
    return this.#config;
  }
}

function urlOf(server: string, path: string): URL {
  return new URL(server.replace(/\/+$/, '') + path);
}

function contentHeaders(text: string): Record<string, string> {
  return { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)) };
}

function tlsOf(options: https.RequestOptions, servername: string | undefined): TlsMaterial {
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized } = options;
  return { ca, cert, key, pfx, passphrase, rejectUnauthorized, ...(servername && { servername }) };
}
