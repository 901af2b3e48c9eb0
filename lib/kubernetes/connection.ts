import type * as http from 'node:http';
import type * as https from 'node:https';
import { dirname } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { InvalidOptionsError, LeaseRequestError, isLeaderError } from '../election/index.js';
import type { ApiConnection, ApiRequest } from './api-connection.js';
import { accessOf, commonHeaders, withToken, type Access } from './access.js';
import { isCertainPath, shownPath } from './file-path.js';
import { loadKubeConfig } from './kube-config.js';
import { sourceViolations, type KubernetesSource } from './kubernetes-source.js';
import { SERVICE_ACCOUNT_FOLDER } from './pod.js';
import { readToken } from './token.js';
import { Transport, type HttpResponse, type Method, type TlsMaterial } from './transport.js';

/** Any request, not only those about a Lease. The body of a PATCH is a JSON merge patch. */
export interface ClusterRequest extends Omit<ApiRequest, 'method'> {
  readonly method: Method;
}

/** An access that client-node told of. */
interface ReadAccess extends Access {
  /** What it was read from. */
  readonly config: Promise<KubeConfig>;
}

/**
 * The way to one API server, shared by any number of leases. Making one costs nothing: unless the source says all there is
 * to know, the configuration, and with it `@kubernetes/client-node`, is loaded by `start()` or the first request, again by the next one if that failed, and
 * anew whenever the server refuses the credentials.
 */
export class KubernetesConnection implements ApiConnection {
  readonly #source: KubernetesSource;
  /** Known without client-node, all but the token. */
  readonly #given: Access | undefined;
  readonly #transport = new Transport();
  #config: Promise<KubeConfig> | undefined;
  /** Under way: many requests at once ask a credential plugin once. */
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
   * Makes a request; on 401 reads the credentials anew and, with other ones, makes it once more.
   *
   * @throws TransportError when there was no response or the signal fired (its code is then `ABORTED`);
   * LeaseRequestError when it fired before the sending, and as `start`, also when the credentials cannot be had.
   */
  async request(request: ClusterRequest): Promise<HttpResponse> {
    const access = await this.#access(request);
    const response = await this.#exchange(request, access);
    if (response.status !== 401) return response;
    const renewed = await this.#renew(access, request);
    return renewed === undefined ? response : this.#exchange(request, renewed);
  }

  /** Opens a stream on a connection of its own; its body is the caller's to read. As `request` otherwise. */
  async stream(path: string, signal: AbortSignal): Promise<http.IncomingMessage> {
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

  /** Ends every connection of the pool. The next request opens another. */
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

  #open(
    path: string,
    signal: AbortSignal,
    { route, headers, server }: Access,
  ): Promise<http.IncomingMessage> {
    const request = {
      method: 'GET',
      url: urlOf(server, path),
      headers,
      signal,
      newConnection: true,
    } as const;
    return this.#transport.open(request, route);
  }

  /** After these credentials were refused: what is there now. Undefined if it is the same token, which need not be sent again. */
  async #renew(access: Access, request: Preparation): Promise<Access | undefined> {
    // Others may have found so before, and have read newer ones by now.
    if ('config' in access && this.#config === access.config) this.#config = undefined;
    const renewed = await this.#access(request);
    const hasTokenOnly = 'server' in this.#source;
    const isSame = renewed.headers['Authorization'] === access.headers['Authorization'];
    return hasTokenOnly && isSame ? undefined : renewed;
  }

  /** Asked of client-node for every request: it knows when a token file, a plugin's token or a certificate is stale. */
  async #access(request: Preparation): Promise<Access> {
    if (this.#given !== undefined && 'server' in this.#source)
      return withToken(this.#given, await prepared('kubernetes.tokenFile', readToken(this.#source), request));
    const config = this.#load();
    await prepared('the kubeconfig and @kubernetes/client-node, which reads it', config, request);
    if (this.#asking?.config !== config) {
      const asking = { config, access: readAccess(config) };
      this.#asking = asking;
      const done = (): void => {
        if (this.#asking === asking) this.#asking = undefined;
      };
      asking.access.then(done, done);
    }
    const credentials = 'the credentials that the kubeconfig names (its plugin, provider or files)';
    const access = await prepared(credentials, this.#asking.access, request);
    // A proxy's agent is changed by who uses it, so it cannot be shared; the credentials are known by now.
    return access.route.proxied === undefined ? access : prepared(credentials, readAccess(config), request);
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
  // Whatever NODE_TLS_REJECT_UNAUTHORIZED says: insecure-skip-tls-verify is what turns it off.
  const options: https.RequestOptions = { rejectUnauthorized: true };
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    throw noCredentials(error);
  }
  const cluster = config.getCurrentCluster();
  const headers: Record<string, string> = { ...commonHeaders };
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name] = String(value).trim();
  // Node would refuse to begin each request, as if the network were broken.
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

/** Neither the message nor the cause is passed on: they may hold what a provider printed, or a path that is none. */
function noCredentials(error: unknown): LeaseRequestError {
  if (error instanceof LeaseRequestError) return error;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  const file = path === undefined ? '' : ` a file${shownFile(path)}`;
  return unfitCredentials(
    code === undefined ? 'its credential provider failed' : `${syscall ?? ''}${file}: ${code}`.trim(),
  );
}

/** A relative path was made absolute, so its last word, if it has no extension, may be a token. */
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

/** A line break within a token is none, nor a letter beyond Latin-1. */
function isHeader(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}

/** Who waits for what comes before the sending. */
type Preparation = Pick<ApiRequest, 'signal' | 'preparing'>;

/** What `promise` gives, or the end of the signal if that is sooner: a credential plugin may never end. */
async function prepared<T>(
  what: string,
  promise: Promise<T>,
  { signal, preparing }: Preparation,
): Promise<T> {
  let giveUp: () => void = () => undefined;
  const given = new Promise<never>((_, reject) => {
    giveUp = () => {
      reject(givenUpWhile(what, signal.reason));
    };
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
  preparing?.(what);
  try {
    return await Promise.race([given, promise]);
  } finally {
    preparing?.(undefined);
    signal.removeEventListener('abort', giveUp);
  }
}

/** The caller's own words when its signal has some of ours to tell. */
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
