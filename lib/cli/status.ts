import { isLeaderError } from '../election/internal.js';
import { checkName, refusedFor, shownError, withCluster, type ClusterFlags } from './cluster.js';
import { viewOf } from './lease-view.js';
import { leaseTable } from './table.js';
import { CommandError, EXIT, json, type ExitCode, type Terminal } from './terminal.js';

/** The options of {@link status} and `watch`. */
export interface LeaseFlags extends ClusterFlags {
  readonly allNamespaces?: boolean;
  readonly json?: boolean;
}

/** Shows one Lease, all of a namespace, or all of the cluster. With a name, the exit code says whether somebody holds it. */
export async function status(
  terminal: Terminal,
  name: string | undefined,
  flags: LeaseFlags,
): Promise<ExitCode> {
  checkSelection(name, flags);
  return withCluster(flags, async (cluster) => {
    const namespace = flags.allNamespaces === true ? '' : cluster.namespace;
    const { leases, serverTime } = await cluster
      .observer(name, namespace)
      .read(terminal.signal)
      .catch((error: unknown) => {
        if (name !== undefined) throw refusedFor(error, 'status', name, ['get']);
        if (!isLeaderError(error, 'LEADER_FORBIDDEN')) throw error;
        throw new CommandError(
          `${shownError(error)}\nWith the name of a Lease, status needs get on that Lease alone: nestjs-leader status NAME`,
        );
      });
    const views = leases.map((lease) => viewOf(lease, { serverNow: serverTime }));
    if (flags.json === true) {
      const at = serverTime === undefined ? null : new Date(serverTime).toISOString();
      terminal.write(`${json({ serverTime: at, leases: views }, 2)}\n`);
    } else if (views.length === 0) {
      terminal.warn(noLease(name, namespace));
    } else {
      const columns = { namespace: namespace === '', token: false };
      terminal.write(`${leaseTable(views, columns).join('\n')}\n`);
    }
    return name === undefined || views[0]?.state === 'held' ? EXIT.ok : EXIT.no;
  });
}

/** @throws CommandError */
export function checkSelection(name: string | undefined, { namespace, allNamespaces }: LeaseFlags): void {
  if (name !== undefined) checkName(name);
  if (allNamespaces !== true) return;
  const other = name === undefined ? namespace && '--namespace' : `the name '${name}'`;
  if (other)
    throw new CommandError(`--all-namespaces and ${other} are both given: leave one out`, EXIT.usage);
}

/** What is said when there is nothing to show. */
export function noLease(name: string | undefined, namespace: string): string {
  if (name !== undefined) return `There is no Lease '${name}' in namespace '${namespace}'.`;
  return namespace === '' ? 'There is no Lease.' : `There is no Lease in namespace '${namespace}'.`;
}
