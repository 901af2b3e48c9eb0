import { isLeaderError, leaseNameViolations } from '../election/internal.js';
import { KubernetesConnection, LeaseObserver, defaultNamespace } from '../kubernetes/internal.js';
import { CommandError, EXIT } from './terminal.js';

/** The options of every command that talks to a cluster. */
export interface ClusterFlags {
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** How long to wait for an answer of the API server. */
export const PATIENCE_MS = 10_000;

/** A cluster, and the namespace in which a command looks for Leases. */
export class Cluster {
  readonly connection: KubernetesConnection;
  readonly namespace: string;

  private constructor(connection: KubernetesConnection, namespace: string) {
    this.connection = connection;
    this.namespace = namespace;
  }

  /**
   * Finds the API server as the module does: `--kubeconfig` and `--context`, else the pod's service account, else `KUBECONFIG`,
   * else `~/.kube/config`. The namespace is `--namespace`, else that of the pod or of the kubeconfig's context, else `default`.
   *
   * @throws LeaderError `LEADER_NO_CLUSTER`, `LEADER_KUBECONFIG_INVALID`, `LEADER_CLIENT_UNUSABLE`, `LEADER_INVALID_OPTIONS`
   */
  static async connect({ namespace, kubeconfig, context }: ClusterFlags): Promise<Cluster> {
    const source = {
      ...(kubeconfig !== undefined && { kubeconfigFile: kubeconfig }),
      ...(context !== undefined && { context }),
    };
    const connection = new KubernetesConnection(source);
    await connection.start();
    const found = namespace ?? (await defaultNamespace(source)).namespace ?? 'default';
    return new Cluster(connection, found);
  }

  /** Observes one Lease, all of the namespace, or all of the cluster (namespace `''`). */
  observer(name: string | undefined, namespace = this.namespace): LeaseObserver {
    return new LeaseObserver(this.connection, { namespace, name }, PATIENCE_MS);
  }

  close(): void {
    this.connection.close();
  }
}

/** Calls `use` with a cluster, and ends its connections. */
export async function withCluster<T>(flags: ClusterFlags, use: (cluster: Cluster) => Promise<T>): Promise<T> {
  const cluster = await Cluster.connect(flags);
  try {
    return await use(cluster);
  } finally {
    cluster.close();
  }
}

/** @throws CommandError for a name that no Lease can have. */
export function checkName(name: string, what = 'NAME'): void {
  const violations = leaseNameViolations(what, name);
  if (violations.length > 0) throw new CommandError(violations.join('\n'), EXIT.usage);
}

/** An error as a command shows it. */
export function shownError(error: unknown): string {
  if (!isLeaderError(error)) return error instanceof Error ? error.message : String(error);
  const text = `${error.message} (${error.code})`;
  if (error.code !== 'LEADER_CLIENT_UNUSABLE') return text;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  // Its version 2 needs Node 22.19.
  const version = major > 22 || (major === 22 && minor >= 19) ? '' : '@1';
  return `${text}\nWith npx: npx -p nestjs-leader -p @kubernetes/client-node${version} nestjs-leader …`;
}
