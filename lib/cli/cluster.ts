import { isLeaderError, leaseNameViolations, show } from '../election/internal.js';
import {
  KubernetesConnection,
  LEASES,
  LeaseObserver,
  defaultNamespace,
  ruleFor,
} from '../kubernetes/internal.js';
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

/**
 * @param limits `isService`: a Service is named after it, with something behind it; `longest`: then how long it may be.
 * @throws CommandError for a name that is no DNS label.
 */
export function checkLabel(
  name: string,
  what: string,
  { isService, longest }: { readonly isService: boolean; readonly longest: number } = {
    isService: false,
    longest: 63,
  },
): void {
  const most = isService ? longest : 63;
  const fits =
    name.length <= most && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name) && !(isService && /^\d/.test(name));
  if (fits) return;
  throw new CommandError(
    `${what} is ${show(name)}: it must be a DNS label (lower-case letters, digits and '-', at most ${String(most)} characters` +
      `${isService ? ', a letter first, because a Service is named after it' : ''})`,
    EXIT.usage,
  );
}

/** Checks what every command may be given. @throws CommandError */
export function checkFlags(flags: Readonly<Record<string, unknown>>): void {
  const { namespace, kubeconfig, context, pod, serviceAccount } = flags;
  if (typeof namespace === 'string') checkLabel(namespace, '--namespace');
  if (typeof pod === 'string') checkName(pod, '--pod');
  if (typeof serviceAccount === 'string') checkName(serviceAccount, '--service-account');
  for (const [flag, value] of Object.entries({ '--kubeconfig': kubeconfig, '--context': context }))
    if (value === '') throw new CommandError(`${flag} is empty: give a value, or leave it out`, EXIT.usage);
}

/** The error for a command that lacks a verb on one Lease: it says what this command needs, not what an election does. */
export function refusedFor(
  error: unknown,
  command: string,
  lease: string,
  verbs: readonly string[],
): unknown {
  if (!isLeaderError(error, 'LEADER_FORBIDDEN')) return error;
  const [refused = '', ...rest] = error.message.split(' Grant it by this rule');
  if (rest.length === 0) return error;
  return new CommandError(
    `${refused} ${command} needs ${verbs.join(', ')} on that Lease. Grant it by this rule in a Role of that namespace, bound to ` +
      `whoever runs ${command}:\n${ruleFor(LEASES, [lease], verbs)} (${error.code})`,
  );
}

/** An error as a command shows it. */
export function shownError(error: unknown): string {
  if (!isLeaderError(error)) return error instanceof Error ? error.message : String(error);
  if (error.code === 'LEADER_NO_CLUSTER')
    return (
      `Found no Kubernetes cluster: this is no pod with a service account, KUBECONFIG is not set, and there is no ` +
      `~/.kube/config. Name a kubeconfig with --kubeconfig FILE, or run a Lease API server on this machine: npx nestjs-leader serve ` +
      `(${error.code})`
    );
  const text = `${error.message} (${error.code})`;
  if (error.code !== 'LEADER_CLIENT_UNUSABLE') return text;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  // Its version 2 needs Node 22.19.
  const version = major > 22 || (major === 22 && minor >= 19) ? '' : '@1';
  return `${text}\nWith npx: npx -p nestjs-leader -p @kubernetes/client-node${version} nestjs-leader …`;
}
