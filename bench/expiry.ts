import type { Surroundings } from './surroundings.js';
import { now } from './until.js';

/** The lease duration of all contenders. One of them does not write it into its Lease. */
const LEASE_DURATION_SECONDS = 15;

/** When a lease expires, on the machine's monotonic clock: the renewTime that a process of this machine wrote, plus the duration. */
export async function expiryOf({ server, namespace }: Surroundings, lease: string): Promise<number> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${lease}`;
  const { json } = await server.client.demand('GET', path);
  const { spec } = json as { spec: { renewTime: string; leaseDurationSeconds?: number } };
  const renewedAt = Date.parse(spec.renewTime) - Date.now() + now();
  return renewedAt + (spec.leaseDurationSeconds ?? LEASE_DURATION_SECONDS) * 1000;
}
