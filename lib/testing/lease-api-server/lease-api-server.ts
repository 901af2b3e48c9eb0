import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { refuseInvalid } from '../../election/internal.js';
import { AccessControl, type AccessRule, type RequestUser } from './access.js';
import { Faults, type FaultFilter } from './faults.js';
import { LeaseApi } from './lease-api.js';
import { API_VERSION, type LeaseSpec, type StoredLease } from './lease-object.js';
import { deleteLease, replaceLease } from './lease-writes.js';
import { RequestHandler } from './request-handler.js';
import { RequestLog, type LoggedRequest } from './request-log.js';
import { LeaseStore } from './store.js';
import { Watches } from './watches.js';

/** How the server behaves. */
export interface LeaseApiServerOptions {
  /** Default: a free port. */
  readonly port?: number | undefined;
  /** PEM. Kubeconfigs name `cert` as the authority, so it must be self-signed or contain its chain. Default: plain HTTP. */
  readonly tls?: { readonly key: string; readonly cert: string } | undefined;
  /** The namespaces that exist. Default: every namespace exists. */
  readonly namespaces?: readonly string[] | undefined;
  /**
   * The users by their bearer tokens. Other tokens are refused (401). A client without a token is `system:anonymous`, and may
   * do nothing (403). Default: every token is accepted and is the name of its user, and every user may do everything.
   */
  readonly tokens?: Readonly<Record<string, string>> | undefined;
  /** What the users may do. Default: everything. */
  readonly rules?: readonly AccessRule[] | undefined;
}

/** A Lease that {@link LeaseApiServer.put} stores. */
export interface LeaseByHand {
  readonly metadata: {
    readonly name: string;
    /** Default: `default`. */
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: LeaseSpec;
}

/** What a kubeconfig contains. */
export interface KubeconfigOptions {
  /** The bearer token that clients send. Default: none. */
  readonly token?: string | undefined;
  /** The namespace of the context. Default: `default`. */
  readonly namespace?: string | undefined;
}

const HOST = '127.0.0.1';
const PORT_RULE = 'it must be a whole number from 0, for a free one, to 65535';

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535;
}

/**
 * A small API server for demos and tests without a cluster: the Lease part of coordination.k8s.io/v1 over HTTP. One test suite
 * runs against it and the real API server. It can inject faults. It accepts requests only from programs on this machine: it
 * refuses a `Host` that is not a loopback name or address (400), and an `Origin` other than its own (403), which web pages send.
 *
 * @example
 * const server = await LeaseApiServer.start();
 * await server.writeKubeconfig('kubeconfig.json');
 * const fault = server.faults.add({ when: { verb: 'update' }, times: 1, do: 'dropReply' });
 * await server.stop();
 */
export class LeaseApiServer {
  /** The faults that the server can be made to have. */
  readonly faults: Faults;
  readonly #store = new LeaseStore();
  readonly #log = new RequestLog();
  readonly #watches: Watches;
  readonly #handler: RequestHandler;
  readonly #stopping = new AbortController();
  readonly #certificate: string | undefined;
  readonly #http: Server;
  /** The connections, and the user of the latest request on each. */
  readonly #sockets = new Map<Socket, RequestUser | undefined>();

  private constructor(options: LeaseApiServerOptions) {
    const access = new AccessControl(options.tokens, options.rules);
    this.#watches = new Watches(this.#store, (subject) => this.faults.stalls(subject));
    this.faults = new Faults(this.#watches, this.#store, (filter) => {
      this.#cutConnections(filter);
    });
    this.#certificate = options.tls?.cert;
    this.#handler = new RequestHandler({
      access,
      api: new LeaseApi(this.#store, access, options.namespaces),
      watches: this.#watches,
      faults: this.faults,
      log: this.#log,
      stopping: this.#stopping.signal,
      onUser: (request, user) => this.#sockets.set(request.socket, user),
    });
    this.#http = this.#makeHttpServer(options.tls);
  }

  /**
   * Starts a server on the loopback interface, and resolves when it accepts requests.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` for a port that is not valid.
   */
  static async start(options: LeaseApiServerOptions = {}): Promise<LeaseApiServer> {
    const { port } = options;
    refuseInvalid('The options of LeaseApiServer.start()', { port }, { port: [isPort, PORT_RULE] });
    const server = new LeaseApiServer(options);
    await new Promise<void>((resolve, reject) => {
      server.#http.once('error', reject);
      server.#http.listen(options.port ?? 0, HOST, resolve);
    });
    return server;
  }

  /** Its URL, without a slash at the end. */
  get url(): string {
    const { port } = this.#http.address() as AddressInfo;
    return `${this.#certificate === undefined ? 'http' : 'https'}://${HOST}:${String(port)}`;
  }

  /** The Leases as they are stored, by namespace and name. */
  get leases(): readonly StoredLease[] {
    return this.#store.list();
  }

  /** The latest thousand requests, oldest first. */
  get requests(): readonly LoggedRequest[] {
    return this.#log.requests;
  }

  /** How many watches are open. */
  get openWatches(): number {
    return this.#watches.size;
  }

  /** How many connections are open, including those of the watches. */
  get openConnections(): number {
    return this.#sockets.size;
  }

  /** The next request that matches. Each request is compared when it arrives, and again when it is answered. */
  nextRequest(matches: (request: LoggedRequest) => boolean = () => true): Promise<LoggedRequest> {
    return this.#log.next(matches);
  }

  /** A kubeconfig for this server, as text. */
  kubeconfig(options: KubeconfigOptions = {}): string {
    return kubeconfigFor(this.url, this.#certificate, options);
  }

  /** Writes a kubeconfig, readable by its owner only, and returns its path. */
  async writeKubeconfig(path: string, options: KubeconfigOptions = {}): Promise<string> {
    await writeFile(path, this.kubeconfig(options), { mode: 0o600 });
    return path;
  }

  /**
   * Creates a Lease, or replaces its labels, annotations and spec. Neither rules nor faults apply.
   *
   * @throws Error when the Lease is not valid
   */
  put({ metadata, spec = {} }: LeaseByHand): StoredLease {
    const { name, namespace = 'default' } = metadata;
    const { resourceVersion } = this.#store.get(namespace, name)?.metadata ?? {};
    const lease = {
      kind: 'Lease',
      apiVersion: API_VERSION,
      metadata: { ...metadata, ...(resourceVersion !== undefined && { resourceVersion }) },
      spec,
    } as const;
    const call = { namespace, manager: 'by-hand', dryRun: false, requireCreatable: () => undefined };
    replaceLease(this.#store, name, lease, call);
    return this.#store.get(namespace, name) as StoredLease;
  }

  /** Deletes a Lease and returns whether it existed. Neither rules nor faults apply. */
  delete(name: string, namespace = 'default'): boolean {
    const existing = this.#store.get(namespace, name);
    if (existing !== undefined) deleteLease(this.#store, existing, {});
    return existing !== undefined;
  }

  /** Ends every watch, cuts every connection and frees the port. Hanging requests stay unanswered. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    this.#watches.end({});
    await new Promise<void>((resolve) => {
      this.#http.close(() => {
        resolve();
      });
      for (const socket of this.#sockets.keys()) socket.destroy();
      // Also those still shaking hands.
      this.#http.closeAllConnections();
    });
  }

  #makeHttpServer(tls: LeaseApiServerOptions['tls']): Server {
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#handler.handle(request, response);
    };
    const server: Server =
      tls === undefined ? createServer(onRequest) : createTlsServer({ ...tls }, onRequest);
    // The API server keeps idle connections for minutes; Node would close them under a client about to use them.
    server.keepAliveTimeout = 0;
    server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      this.#sockets.set(socket, undefined);
      socket.setNoDelay(true);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    return server;
  }

  #cutConnections({ user, token }: FaultFilter): void {
    for (const [socket, seen] of this.#sockets) {
      const isMeant =
        (user === undefined || user === seen?.user) && (token === undefined || token === seen?.token);
      if (isMeant) socket.destroy();
    }
  }
}

/**
 * A kubeconfig as JSON, which is YAML.
 *
 * @param certificate PEM of the authority that vouches for the server; undefined without TLS.
 */
function kubeconfigFor(
  url: string,
  certificate: string | undefined,
  { token, namespace = 'default' }: KubeconfigOptions,
): string {
  const name = 'lease-api-server';
  // Plain HTTP is refused by @kubernetes/client-node unless the kubeconfig says that TLS need not be verified.
  const trust =
    certificate === undefined
      ? { 'insecure-skip-tls-verify': true }
      : { 'certificate-authority-data': Buffer.from(certificate).toString('base64') };
  // Over TLS kubectl asks for a user unless it has one. The server knows none by password, so this one is anonymous.
  const withoutToken = certificate === undefined ? {} : { username: 'anonymous', password: 'anonymous' };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url, ...trust } }],
    users: [{ name, user: token === undefined ? withoutToken : { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
    'current-context': name,
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
