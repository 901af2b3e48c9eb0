import {
  InvalidOptionsError,
  LeaseRequestError,
  SystemClock,
  bounded,
  isLeaderError,
  type Clock,
} from '../election/internal.js';
import type { Access, AccessSource, Wait } from './access.js';
import type { ApiConnection, ApiRequest } from './api-connection.js';
import { DirectAccess } from './direct-access.js';
import { KubeconfigAccess } from './kubeconfig-access.js';
import { meansPod, sourceViolations, type KubernetesSource } from './kubernetes-source.js';
import { Transport, type HttpResponse, type HttpStream, type Method } from './transport.js';

/** A request about any object, not only a Lease. The body of a PATCH is a JSON merge patch. */
export interface ClusterRequest extends Omit<ApiRequest, 'method'> {
  readonly method: Method;
}

/**
 * The connection to one API server, shared by any number of leases. Creating one costs nothing: `start()` or the
 * first request loads what it needs. After a failure the next request loads it again, and so does a request whose
 * credentials the server refuses. `@kubernetes/client-node` is loaded for a kubeconfig, but not in a pod with a
 * service account or for an address.
 */
export class KubernetesConnection implements ApiConnection {
  readonly #source: KubernetesSource;
  readonly #clock: Clock;
  readonly #transport = new Transport();
  #access: AccessSource | undefined;

  /**
   * @param clock decides when to check the credential files again. Default: the system's.
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`
   */
  constructor(source: KubernetesSource = {}, clock: Clock = new SystemClock()) {
    const violations = sourceViolations(source);
    if (violations.length > 0) throw new InvalidOptionsError(violations, 'The options of the connection');
    this.#source = source;
    this.#clock = clock;
  }

  /**
   * Loads now what the first request would load.
   *
   * @throws LeaseRequestError `LEADER_NO_CLUSTER`, `LEADER_KUBECONFIG_INVALID`, `LEADER_CLIENT_UNUSABLE`
   */
  async start(): Promise<void> {
    await this.#from.start();
  }

  /**
   * Sends a request. After a 401 it reads the credentials again and, if they may have changed, sends the request once
   * more.
   *
   * @throws TransportError if there was no response; its code is `ABORTED` if the signal fired.
   * @throws LeaseRequestError as `start`; if the credentials cannot be read; if the signal fired before the request
   * was sent.
   */
  async request(request: ClusterRequest): Promise<HttpResponse> {
    const access = this.#from.now() ?? (await this.#from.get(waitFor(request)));
    const response = await this.#exchange(request, access);
    if (response.status !== 401) return response;
    const renewed = await this.#from.renew(access, waitFor(request));
    return renewed === undefined ? response : this.#exchange(request, renewed);
  }

  /** Opens a stream whose body the caller reads. Otherwise like `request`. */
  async stream(path: string, signal: AbortSignal): Promise<HttpStream> {
    const wait = waitFor({ signal });
    const access = this.#from.now() ?? (await this.#from.get(wait));
    const response = await this.#open(path, signal, access);
    if (response.statusCode !== 401) return response;
    const renewed = await this.#from.renew(access, wait).catch((error: unknown) => {
      response.destroy();
      throw error;
    });
    if (renewed === undefined) return response;
    response.destroy();
    return this.#open(path, signal, renewed);
  }

  /** Where the last request went, and the headers it carried, for a request that must be sent by other means. */
  get lastAccess(): Access | undefined {
    return this.#access?.last;
  }

  /** Ends every connection. The next request opens another. */
  close(): void {
    this.#transport.close();
  }

  /** Created on first use. */
  get #from(): AccessSource {
    this.#access ??= accessFrom(this.#source, this.#clock);
    return this.#access;
  }

  #exchange(
    { method, path, body, signal, newConnection }: ClusterRequest,
    { route, headers, server }: Access,
  ): Promise<HttpResponse> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return this.#transport.exchange(
      {
        method,
        url: new URL(server + path),
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
      url: new URL(server + path),
      headers,
      signal,
      newConnection: true,
    } as const;
    return this.#transport.open(request, route);
  }
}

function accessFrom(source: KubernetesSource, clock: Clock): AccessSource {
  if ('server' in source) return DirectAccess.byAddress(source, clock);
  return meansPod(source) ? DirectAccess.ofPod(clock) : new KubeconfigAccess(source);
}

/** Waits until the request's signal fires at the latest, because a credential plugin may never end. */
function waitFor({ signal, preparing }: Pick<ApiRequest, 'signal' | 'preparing'>): Wait {
  return async (what, begin) => {
    preparing?.(what);
    try {
      return await bounded({ signal }, begin);
    } catch (error) {
      throw signal.aborted ? givenUpWhile(what, signal.reason) : error;
    } finally {
      preparing?.(undefined);
    }
  };
}

/** The signal's reason if that is a LeaseRequestError; otherwise an error that says what the request waited for. */
function givenUpWhile(what: string, cause: unknown): LeaseRequestError {
  if (isLeaderError(cause) && 'maybeCommitted' in cause) return cause as LeaseRequestError;
  return new LeaseRequestError(
    'LEADER_REQUEST_TIMEOUT',
    `The request was given up before it was sent, while it waited for ${what}.`,
    { maybeCommitted: false, cause },
  );
}

function contentHeaders(method: Method, text: string): Record<string, string> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  return { 'Content-Type': type, 'Content-Length': String(Buffer.byteLength(text)) };
}
