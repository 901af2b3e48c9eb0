import type * as http from 'node:http';
import type * as https from 'node:https';
import { dirname } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { InvalidOptionsError, LeaseRequestError, bounded, isLeaderError } from '../election/index.js';
import type { ApiConnection, ApiRequest } from './api-connection.js';
import { accessOf, commonHeaders, withToken, type Access } from './access.js';
import { isCertainPath, shownPath } from './file-path.js';
import { loadKubeConfig } from './kube-config.js';
import { sourceViolations, type KubernetesSource } from './kubernetes-source.js';
import { SERVICE_ACCOUNT_FOLDER } from './pod.js';
import { readToken } from './token.js';
import { Transport, type HttpResponse, type HttpStream, type Method, type TlsMaterial } from './transport.js';

/** Any request, not only those about a Lease. The body of a PATCH is a JSON merge patch. */
export interface ClusterRequest extends Omit<ApiRequest, 'method'> {
  readonly method: Method;
}

/** An access that client-node read. */
interface ReadAccess extends Access {
  /** The configuration from which it was read. */
  readonly config: Promise<KubeConfig>;
}

/**
 * The connection to one API server, shared by any number of leases. To create one costs nothing. Unless the options contain
 * all that is needed, the configuration, and with it `@kubernetes/client-node`, is loaded by `start()` or the first request;
 * if that fails, by the next request; and again whenever the server refuses the credentials.
 */
export class KubernetesConnection implements ApiConnection {
  readonly #source: KubernetesSource;
  /** The access without its token, if client-node is not needed. */
  readonly #given: Access | undefined;
  readonly #transport = new Transport();
  #config: Promise<KubeConfig> | undefined;
  /** The access that is being read: concurrent requests share one run of a credential plugin. */
  #asking: { readonly config: Promise<KubeConfig>; readonly access: Promise<ReadAccess> } | undefined;

  /** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` */
  constructor(source: KubernetesSource = {}) {
    const violations = sourceViolations(source);
    if (violations.length > 0) throw new InvalidOptionsError(violations, 'The options of the connection');
    this.#source = source;
    this.#given = accessOf(source);
  }

  /**
   * Loads the configuration now.
   *
   * @throws LeaseRequestError `LEADER_NO_CLUSTER`, `LEADER_KUBECONFIG_INVALID`, `LEADER_CLIENT_UNUSABLE`
   */
  async start(): Promise<void> {
    if (this.#given === undefined) await this.#load();
  }

  /**
   * Sends a request. After a 401 it reads the credentials again and sends the request once more, if they may have changed.
   *
   * @throws TransportError when there was no response or the signal fired (its code is then `ABORTED`);
   * LeaseRequestError when the signal fired before the request was sent, as `start`, and when the credentials cannot be read.
   */
  async request(request: ClusterRequest): Promise<HttpResponse> {
    const access = await this.#access(request);
    const response = await this.#exchange(request, access);
    if (response.status !== 401) return response;
    const renewed = await this.#renew(access, request);
    return renewed === undefined ? response : this.#exchange(request, renewed);
  }

  /** Opens a stream; the caller reads its body. Otherwise as `request`. */
  async stream(path: string, signal: AbortSignal): Promise<HttpStream> {
    const access = await this.#access({ signal });
    const response = await this.#open(path, signal, access);
    if (response.statusCode !== 401) return response;
    const renewed = await this.#renew(access, { signal }).catch((error: unknown) => {
      response.destroy();
      throw error;
    });
    if (renewed === undefined) return response;
    response.destroy();
    return this.#open(path, signal, renewed);
  }

  /** Ends every connection. The next request opens another. */
  close(): void {
    this.#transport.close();
  }

  #exchange(
    { method, path, body, signal, newConnection }: ClusterRequest,
    { route, headers, server }: Access,
  ): Promise<HttpResponse> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return this.#transport.exchange(
      {
        method,
        url: urlOf(server, path),
        headers: text === undefined ? headers : { ...headers, ...contentHeaders(method, text) },
        ...(text !== undefined && { body: text }),
        signal,
        newConnection,
      },
      route,
    );
  }

  #open(path: string, signal: AbortSignal, { route, headers, server }: Access): Promise<HttpStream> {
    const request = {
      method: 'GET',
      url: urlOf(server, path),
      headers,
      signal,
      newConnection: true,
    } as const;
    return this.#transport.open(request, route);
  }

  /** The access to use after the server refused this one. Undefined if it has the same token, which need not be sent again. */
  async #renew(access: Access, request: Preparation): Promise<Access | undefined> {
    // Another request may have been refused before, and has read newer credentials by now.
    if ('config' in access && this.#config === access.config) this.#config = undefined;
    const renewed = await this.#access(request);
    const hasTokenOnly = 'server' in this.#source;
    const isSame = renewed.headers['Authorization'] === access.headers['Authorization'];
    return hasTokenOnly && isSame ? undefined : renewed;
  }

  /** client-node is asked for every request: it knows when a token file, a plugin's token or a certificate is outdated. */
  async #access(request: Preparation): Promise<Access> {
    const source = this.#source;
    if (this.#given !== undefined && 'server' in source)
      return withToken(this.#given, await prepared('kubernetes.tokenFile', () => readToken(source), request));
    const config = this.#load();
    await prepared('the kubeconfig and @kubernetes/client-node, which reads it', () => config, request);
    if (this.#asking?.config !== config) {
      const asking = { config, access: readAccess(config) };
      this.#asking = asking;
      const done = (): void => {
        if (this.#asking === asking) this.#asking = undefined;
      };
      asking.access.then(done, done);
    }
    const credentials = 'the credentials that the kubeconfig names (its plugin, provider or files)';
    const { access: asked } = this.#asking;
    const access = await prepared(credentials, () => asked, request);
    // The transport changes a proxy's agent, so each request gets its own. The credentials are cached by now.
    return access.route.proxied === undefined
      ? access
      : prepared(credentials, () => readAccess(config), request);
  }

  #load(): Promise<KubeConfig> {
    if (this.#config === undefined) {
      const config = loadKubeConfig(this.#source);
      this.#config = config;
      config.catch(() => {
        if (this.#config === config) this.#config = undefined;
      });
    }
    return this.#config;
  }
}

async function readAccess(loading: Promise<KubeConfig>): Promise<ReadAccess> {
  const config = await loading;
  // Set, so that NODE_TLS_REJECT_UNAUTHORIZED has no effect. insecure-skip-tls-verify in the kubeconfig still turns it off.
  const options: https.RequestOptions = { rejectUnauthorized: true };
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    throw noCredentials(error);
  }
  const cluster = config.getCurrentCluster();
  const headers: Record<string, string> = { ...commonHeaders };
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name] = String(value).trim();
  // Otherwise Node would throw at each request, which would look like a broken network.
  if (!Object.values(headers).every(isHeader)) throw unfitCredentials('one holds what no header can hold');
  if (options.auth) headers['Authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  return {
    server: cluster?.server ?? '',
    config: loading,
    headers,
    route: {
      tls: tlsOf(options, cluster?.tlsServerName),
      proxied: cluster?.proxyUrl === undefined ? undefined : () => options.agent as http.Agent,
    },
  };
}

/** Neither the message nor the cause is passed on: they may contain what a provider printed, or a secret given as a path. */
function noCredentials(error: unknown): LeaseRequestError {
  if (error instanceof LeaseRequestError) return error;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  const file = path === undefined ? '' : ` a file${shownFile(path)}`;
  return unfitCredentials(
    code === undefined ? 'its credential provider failed' : `${syscall ?? ''}${file}: ${code}`.trim(),
  );
}

/** A relative path was made absolute. So the last segment of a path, if it has no extension, may be a token. */
function shownFile(path: string): string {
  const isNamed = /\.[a-z]{2,5}$/i.test(path) || path.startsWith(SERVICE_ACCOUNT_FOLDER);
  return isNamed || !isCertainPath(path) ? shownPath(path) : ` in${shownPath(dirname(path))}`;
}

function unfitCredentials(why: string): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_KUBECONFIG_INVALID',
    `The credentials or certificates that the kubeconfig names cannot be had (${why}). Check its user and cluster.`,
    { maybeCommitted: false },
  );
}

/** Whether Node accepts a string as the value of a header: no line break, no character beyond Latin-1. */
function isHeader(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}

/** The part of a request that matters before it is sent. */
type Preparation = Pick<ApiRequest, 'signal' | 'preparing'>;

/** Waits for what `begin` starts, at most until the request's signal fires: a credential plugin may never end. */
async function prepared<T>(
  what: string,
  begin: () => Promise<T>,
  { signal, preparing }: Preparation,
): Promise<T> {
  preparing?.(what);
  try {
    return await bounded({ signal }, begin);
  } catch (error) {
    throw signal.aborted ? givenUpWhile(what, signal.reason) : error;
  } finally {
    preparing?.(undefined);
  }
}

/** The caller's own error if its signal fired with one of ours; else one that names what the request waited for. */
function givenUpWhile(what: string, cause: unknown): LeaseRequestError {
  if (isLeaderError(cause) && 'maybeCommitted' in cause) return cause as LeaseRequestError;
  return new LeaseRequestError(
    'LEADER_REQUEST_TIMEOUT',
    `The request was given up before it was sent, while it waited for ${what}.`,
    { maybeCommitted: false, cause },
  );
}

function urlOf(server: string, path: string): URL {
  const base = server.trim();
  let end = base.length;
  while (base[end - 1] === '/') end -= 1;
  return new URL(base.slice(0, end) + path);
}

function contentHeaders(method: Method, text: string): Record<string, string> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  return { 'Content-Type': type, 'Content-Length': String(Buffer.byteLength(text)) };
}

function tlsOf(options: https.RequestOptions, servername: string | undefined): TlsMaterial {
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized } = options;
  return { ca, cert, key, pfx, passphrase, rejectUnauthorized, ...(servername && { servername }) };
}
