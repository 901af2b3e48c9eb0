/** A real kube-apiserver and its etcd, for tests: fresh, with RBAC, on loopback, gone with the test. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiClient } from './api-client.js';
import { freePorts } from './free-ports.js';
import { ServerProcess } from './server-process.js';
import { findServers, type ServerPrograms } from './servers.js';

const ADMIN_TOKEN = 'admin-token';
const READY_WITHIN_MS = 90_000;
const LOOK_EVERY_MS = 50;

export interface RealApiServerOptions {
  /** Users besides the administrator; the token of each is `<name>-token`. */
  readonly users?: readonly string[];
  readonly auditLog?: boolean;
}

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export class RealApiServer {
  readonly url: string;
  readonly caFile: string;
  readonly ca: string;
  readonly client: ApiClient;
  readonly #folder: string;
  readonly #programs: ServerPrograms;
  readonly #arguments: readonly string[];
  readonly #etcd: ServerProcess;
  #server: ServerProcess;

  private constructor(parts: {
    folder: string;
    programs: ServerPrograms;
    port: number;
    args: readonly string[];
    etcd: ServerProcess;
    server: ServerProcess;
    ca: string;
  }) {
    this.#folder = parts.folder;
    this.#programs = parts.programs;
    this.#arguments = parts.args;
    this.#etcd = parts.etcd;
    this.#server = parts.server;
    this.url = `https://127.0.0.1:${String(parts.port)}`;
    this.caFile = join(parts.folder, 'apiserver.crt');
    this.ca = parts.ca;
    this.client = new ApiClient(this.url, parts.ca, ADMIN_TOKEN);
  }

  /** Starts one, and resolves when it is ready. */
  static async start(options: RealApiServerOptions = {}): Promise<RealApiServer> {
    const search = findServers();
    if (!search.available) throw new Error(`There is no real API server here: ${search.reason}`);
    const programs = await search.programs();
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-leader-rig-'));
    const [clientPort, peerPort, port] = (await freePorts(3)) as [number, number, number];
    await writeCredentials(folder, options.users ?? []);
    const etcd = new ServerProcess('etcd', programs.etcd, etcdArguments(folder, clientPort, peerPort));
    const args = await serverArguments(folder, clientPort, port, options);
    const server = new ServerProcess('kube-apiserver', programs.kubeApiserver, args);
    try {
      await untilReady(port, join(folder, 'apiserver.crt'), [etcd, server]);
      const ca = await readFile(join(folder, 'apiserver.crt'), 'utf8');
      return new RealApiServer({ folder, programs, port, args, etcd, server, ca });
    } catch (error) {
      await Promise.all([server.kill(), etcd.kill()]);
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  get pid(): number {
    return this.#server.pid;
  }

  get auditLogPath(): string {
    return join(this.#folder, 'audit.log');
  }

  /** A kubeconfig for one of the users, or the administrator. JSON is YAML. */
  kubeconfig({ user = 'admin', namespace = 'default' }: { user?: string; namespace?: string } = {}): string {
    return this.kubeconfigWithToken(`${user}-token`, namespace);
  }

  kubeconfigWithToken(token: string, namespace = 'default'): string {
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'rig', cluster: { server: this.url, 'certificate-authority': this.caFile } }],
      users: [{ name: 'rig', user: { token } }],
      contexts: [{ name: 'rig', context: { cluster: 'rig', user: 'rig', namespace } }],
      'current-context': 'rig',
    });
  }

  /** Writes such a kubeconfig into the server's own folder and gives its path. */
  async writeKubeconfig(options: { user?: string; namespace?: string } = {}): Promise<string> {
    const path = join(
      this.#folder,
      `kubeconfig-${options.user ?? 'admin'}-${options.namespace ?? 'default'}.json`,
    );
    await writeFile(path, this.kubeconfig(options));
    return path;
  }

  async createNamespace(name: string): Promise<void> {
    await this.client.demand('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
  }

  /** Grants `rules` to a user in a namespace, or takes back what was granted before (no rules). */
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

  freeze(): void {
    this.#server.signal('SIGSTOP');
  }

  thaw(): void {
    this.#server.signal('SIGCONT');
  }

  /** Ends the API server and starts it again on the same port and data. */
  async restart(): Promise<void> {
    await this.#server.kill();
    this.#server = new ServerProcess('kube-apiserver', this.#programs.kubeApiserver, this.#arguments);
    await untilReady(Number(new URL(this.url).port), this.caFile, [this.#etcd, this.#server]);
  }

  async stop(): Promise<void> {
    // Nobody waits for its graceful end, which keeps watches open for a minute.
    this.thaw();
    await this.#server.kill();
    await this.#etcd.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function writeCredentials(folder: string, users: readonly string[]): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const tokens = [
    `${ADMIN_TOKEN},admin,0,"system:masters"`,
    ...users.map((user, id) => `${user}-token,${user},${String(id + 1)}`),
  ];
  await writeFile(join(folder, 'service-account.key'), privateKey);
  await writeFile(join(folder, 'service-account.pub'), publicKey);
  await writeFile(join(folder, 'tokens.csv'), `${tokens.join('\n')}\n`);
}

function etcdArguments(folder: string, clientPort: number, peerPort: number): string[] {
  const client = `http://127.0.0.1:${String(clientPort)}`;
  const peer = `http://127.0.0.1:${String(peerPort)}`;
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

async function serverArguments(
  folder: string,
  etcdPort: number,
  port: number,
  options: RealApiServerOptions,
): Promise<string[]> {
  const policy = join(folder, 'audit-policy.json');
  await writeFile(
    policy,
    JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'Metadata' }] }),
  );
  return [
    `--etcd-servers=http://127.0.0.1:${String(etcdPort)}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${String(port)}`,
    `--cert-dir=${folder}`,
    `--service-account-key-file=${join(folder, 'service-account.pub')}`,
    `--service-account-signing-key-file=${join(folder, 'service-account.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    '--service-cluster-ip-range=10.0.0.0/24',
    '--authorization-mode=RBAC',
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--feature-gates=CoordinatedLeaderElection=true',
    '--runtime-config=coordination.k8s.io/v1beta1=true',
    ...(options.auditLog === true
      ? [`--audit-policy-file=${policy}`, `--audit-log-path=${join(folder, 'audit.log')}`]
      : []),
  ];
}

async function untilReady(port: number, caFile: string, processes: readonly ServerProcess[]): Promise<void> {
  const url = `https://127.0.0.1:${String(port)}`;
  const until = Date.now() + READY_WITHIN_MS;
  while (Date.now() < until) {
    for (const process of processes) process.assertRunning();
    try {
      const client = new ApiClient(url, await readFile(caFile, 'utf8'), ADMIN_TOKEN);
      const answer = await client.request('GET', '/readyz', { patienceMs: 2_000 });
      if (answer.text === 'ok') return;
    } catch {
      // Not listening yet, or its certificate is not written yet.
    }
    await pause(LOOK_EVERY_MS);
  }
  throw new Error(
    `kube-apiserver was not ready within ${String(READY_WITHIN_MS)} ms: ${String(processes[1]?.log)}`,
  );
}
