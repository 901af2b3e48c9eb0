import type { Attendant, LeaderError, TermGuard } from '../election/index.js';
import type { KubernetesConnection } from './connection.js';
import { EventRecorder } from './event-recorder.js';
import type { KubernetesLeaseLock } from './kubernetes-lease-lock.js';
import { PodLabels } from './pod-labels.js';
import { ownPod, type PodAddress } from './pod.js';
import { Preflight } from './preflight.js';

/** What an election asks for beside its Lease. */
export interface AttendantsParts {
  readonly connection: KubernetesConnection;
  readonly leaseNamespace: string;
  /** By the names of their Leases. */
  readonly locks: ReadonlyMap<string, KubernetesLeaseLock>;
  /** The name of this process' LeaseCandidate, in a coordinated election. */
  readonly candidate?: string | undefined;
  /** Write Events on the Lease. */
  readonly events: boolean;
  /** Labels for the leader's Pod; none: it is left alone. */
  readonly leaderPodLabels: Readonly<Record<string, string>>;
  readonly preflight: 'warn' | 'fail' | 'off';
  readonly retryPeriod: number;
}

/** Those that go along with an election because its options ask for them, and the guard of its terms if it has one. */
export interface Attendance {
  readonly attendants: readonly Attendant[];
  readonly guard: TermGuard | undefined;
}

/**
 * Makes them. Asks nothing of the API server, except with `preflight: 'fail'`.
 *
 * @throws LeaderError `LEADER_PERMISSION_MISSING` with `preflight: 'fail'`.
 */
export async function attend(parts: AttendantsParts): Promise<Attendance> {
  const {
    connection,
    leaseNamespace: namespace,
    locks,
    candidate,
    events,
    leaderPodLabels: labels,
    retryPeriod,
  } = parts;
  const pod: PodAddress | undefined = Object.keys(labels).length === 0 ? undefined : ownPod(namespace);
  const preflight = new Preflight(connection, {
    namespace,
    leases: [...locks.keys()],
    candidate,
    events,
    pod,
  });
  const checked = parts.preflight === 'fail' && (await isPassed(preflight, connection));
  const guard = pod && new PodLabels({ connection, pod, labels, retryPeriod });
  const recorder = new EventRecorder(connection, (leaseName) => locks.get(leaseName)?.reference);
  return {
    guard,
    attendants: [
      ...(parts.preflight === 'off' || checked ? [] : [preflight]),
      ...(guard === undefined ? [] : [guard]),
      ...(events ? [recorder] : []),
    ],
  };
}

/** False when it cannot be asked: an API server that is down keeps no application from starting. */
async function isPassed(preflight: Preflight, connection: KubernetesConnection): Promise<boolean> {
  let missing: LeaderError | undefined;
  try {
    // Its questions have no patience with what takes long on a slow start.
    await connection.start();
    missing = await preflight.missing();
  } catch {
    return false;
  }
  if (missing !== undefined) throw missing;
  return true;
}
