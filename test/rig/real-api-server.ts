/** A real kube-apiserver and its etcd for tests: new, with RBAC, on loopback, and removed with the test. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ApiClient } from './api-client.js';
import { freePorts } from './free-ports.js';
import { scratchFolder } from './guard.js';
import { RigProcess, RigProcessEnded } from './rig-process.js';
import { etcdArguments, serverArguments } from './server-arguments.js';
import { findServers, type ServerPrograms } from './servers.js';
import { untilReady } from './until-ready.js';
import { ADMIN_TOKEN, kubeconfigText, writeCredentials, type RigUser } from './users.js';

const PORT_ATTEMPTS = 5;
const ETCD_ENDS_WITHIN_MS = 5_000;

export interface RealApiServerOptions {
  /** Users in addition to the administrator. The token of each is `<name>-token`. */
  readonly users?: readonly RigUser[];
  /** Whether to write an audit log. `batch`: it is written late, so that no request waits for it. Default: false. */
  readonly auditLog?: boolean | 'batch';
  /** The probability that a request makes the server send GOAWAY; at most 0.02. Default: 0. */
  readonly goawayChance?: number;
}

export interface KubeconfigOptions {
  /** Default: the administrator. */
  readonly user?: string;
  /** Default: `default`. */
  readonly namespace?: string;
  /** The API server itself by default, or a proxy on 127.0.0.1, for which the certificate is also valid. */
  readonly server?: string;
}

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Parts {
  readonly folder: string;
  readonly programs: ServerPrograms;
  readonly port: number;
  readonly etcdArgs: readonly string[];
  readonly serverArgs: readonly string[];
  readonly etcd: RigProcess;
  readonly server: RigProcess;
  readonly ca: string;
}

export class RealApiServer {
  readonly caFile: string;
  readonly ca: string;
  readonly #parts: Parts;
  #port: number;
  #etcd: RigProcess;
  #server: RigProcess;
  /** Servers that a roll-out has asked to end. */
  readonly #retired: RigProcess[] = [];

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#port = parts.port;
    this.#etcd = parts.etcd;
    this.#server = parts.server;
    this.caFile = join(parts.folder, 'apiserver.crt');
    this.ca = parts.ca;
  }

  /** Starts a server, and resolves when it is ready. */
  static async start(options: RealApiServerOptions = {}): Promise<RealApiServer> {
    const search = findServers();
    if (!search.available) throw new Error(`There is no real API server here: ${search.reason}`);
    const programs = await search.programs();
    // A free port may be taken a moment later. Then this starts again with other ports.
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await RealApiServer.#startOnce(programs, options);
      } catch (error) {
        if (attempt === PORT_ATTEMPTS || !isPortTaken(error)) throw error;
      }
    }
  }

  static async #startOnce(programs: ServerPrograms, options: RealApiServerOptions): Promise<RealApiServer> {
    const folder = await scratchFolder('server');
    const [clientPort, peerPort, port] = (await freePorts(3)) as [number, number, number];
    await writeCredentials(folder, options.users ?? []);
    const etcdArgs = etcdArguments(folder, clientPort, peerPort);
    const etcd = new RigProcess('etcd', programs.etcd, etcdArgs);
    const serverArgs = await serverArguments(folder, clientPort, port, options);
    const server = new RigProcess('kube-apiserver', programs.kubeApiserver, serverArgs);
    try {
      await untilReady(port, join(folder, 'apiserver.crt'), [etcd, server]);
      const ca = await readFile(join(folder, 'apiserver.crt'), 'utf8');
      return new RealApiServer({ folder, programs, port, etcdArgs, serverArgs, etcd, server, ca });
    } catch (error) {
      await Promise.all([server.kill(), etcd.kill()]);
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  get url(): string {
    return `https://127.0.0.1:${String(this.#port)}`;
  }

  get client(): ApiClient {
    return new ApiClient(this.url, this.ca, ADMIN_TOKEN);
  }

  get pid(): number {
    return this.#server.pid;
  }

  get etcdPid(): number {
    return this.#etcd.pid;
  }

  get auditLogPath(): string {
    return join(this.#parts.folder, 'audit.log');
  }

  /** The key and certificate with which a proxy can stand in for the server. The certificate is also its own authority. */
  async identity(): Promise<{ readonly key: string; readonly cert: string; readonly ca: string }> {
    const key = await readFile(join(this.#parts.folder, 'apiserver.key'), 'utf8');
    return { key, cert: this.ca, ca: this.ca };
  }

  /** A kubeconfig for one of the users, or the administrator. */
  kubeconfig({ user = 'admin', ...rest }: KubeconfigOptions = {}): string {
    return this.kubeconfigWith({ token: `${user}-token` }, rest);
  }

  /** A kubeconfig with these credentials, as its `users` section has them. */
  kubeconfigWith(credentials: object, { namespace = 'default', server = this.url } = {}): string {
    return kubeconfigText({ server, 'certificate-authority': this.caFile }, credentials, namespace);
  }

  /** Writes a kubeconfig into the server's folder and returns its path. */
  async writeKubeconfig(options: { user?: string; namespace?: string } = {}): Promise<string> {
    const path = join(
      this.#parts.folder,
      `kubeconfig-${options.user ?? 'admin'}-${options.namespace ?? 'default'}.json`,
    );
    await writeFile(path, this.kubeconfig(options));
    return path;
  }

  async createNamespace(name: string): Promise<void> {
    await this.client.demand('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
  }

  /** Grants `rules` to a user in a namespace, in place of all earlier ones. */
  async grant(namespace: string, user: string, rules: readonly PolicyRule[]): Promise<void> {
    const base = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
    const name = `for-${user}`;
    await this.client.request('DELETE', `${base}/roles/${name}`);
    await this.client.request('DELETE', `${base}/rolebindings/${name}`);
    if (rules.length === 0) return;
    await this.client.demand('POST', `${base}/roles`, { body: { metadata: { name }, rules } });
    const apiGroup = 'rbac.authorization.k8s.io';
    await this.client.demand('POST', `${base}/rolebindings`, {
      body: {
        metadata: { name },
        roleRef: { apiGroup, kind: 'Role', name },
        subjects: [{ apiGroup, kind: 'User', name: user }],
      },
    });
  }

  /** A token as it is mounted into a Pod, for the user `system:serviceaccount:<namespace>:<name>`. Creates the service account if it does not exist. */
  async serviceAccountToken(namespace: string, name: string, expirationSeconds = 3_600): Promise<string> {
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    const made = await this.client.request('POST', accounts, { body: { metadata: { name } } });
    if (made.status !== 201 && made.status !== 409) {
      throw new Error(`POST ${accounts} was answered ${String(made.status)}: ${made.text}`);
    }
    const body = { spec: { expirationSeconds } };
    const { json } = await this.client.demand('POST', `${accounts}/${name}/token`, { body });
    return (json as { status: { token: string } }).status.token;
  }

  freeze(): void {
    this.#server.signal('SIGSTOP');
  }

  thaw(): void {
    this.#server.signal('SIGCONT');
  }

  /** Kills the API server, as in a crash. Its data stays: see `restart`. */
  async kill(): Promise<void> {
    await this.#server.kill();
  }

  /** Asks it to end, as in a roll-out, and kills it after `withinMs`: with an open watch the end takes a minute. */
  async terminate(withinMs = 5_000): Promise<void> {
    await this.#server.stop(withinMs);
  }

  /** Ends the API server and starts it again on the same port and data. */
  async restart(): Promise<void> {
    await this.#server.kill();
    await this.#startServer(this.#port);
  }

  /**
   * Replaces this API server with a new one, on the same data and another port, as in a roll-out of a control plane:
   * when the new one is ready, the old one, which is returned, is asked to end and takes its time.
   */
  async rollOut(): Promise<RigProcess> {
    const old = this.#server;
    this.#retired.push(old);
    const [port] = (await freePorts(1)) as [number];
    await this.#startServer(port);
    old.signal('SIGTERM');
    return old;
  }

  freezeEtcd(): void {
    this.#etcd.signal('SIGSTOP');
  }

  thawEtcd(): void {
    this.#etcd.signal('SIGCONT');
  }

  /** Kills etcd, as in a crash. Its data stays. */
  async killEtcd(): Promise<void> {
    await this.#etcd.kill();
  }

  startEtcd(): void {
    this.#etcd = new RigProcess('etcd', this.#parts.programs.etcd, this.#parts.etcdArgs);
  }

  async stop(): Promise<void> {
    // Killed, because a graceful end keeps watches open for a minute.
    await Promise.all([this.#server, ...this.#retired].map((server) => server.kill()));
    await this.#etcd.stop(ETCD_ENDS_WITHIN_MS);
    await rm(this.#parts.folder, { recursive: true, force: true });
  }

  async #startServer(port: number): Promise<void> {
    const { programs, serverArgs } = this.#parts;
    // The last of two equal flags counts.
    const args = [...serverArgs, `--secure-port=${String(port)}`];
    this.#server = new RigProcess('kube-apiserver', programs.kubeApiserver, args);
    this.#port = port;
    await untilReady(port, this.caFile, [this.#etcd, this.#server]);
  }
}

function isPortTaken(error: unknown): boolean {
  return error instanceof RigProcessEnded && error.log.includes('address already in use');
}
