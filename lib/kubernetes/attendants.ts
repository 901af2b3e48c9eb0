import type { Attendant, LeaderError, TermGuard } from '../election/internal.js';
import type { KubernetesConnection } from './connection.js';
import { EventRecorder } from './event-recorder.js';
import type { KubernetesLeaseLock } from './kubernetes-lease-lock.js';
import { PodLabels } from './pod-labels.js';
import { ownPod, type PodAddress } from './pod.js';
import { Preflight } from './preflight.js';

/** The connection, the Leases and the options from which {@link attend} creates the attendants. */
export interface AttendantsParts {
  readonly connection: KubernetesConnection;
  readonly leaseNamespace: string;
  /** By the names of their Leases. */
  readonly locks: ReadonlyMap<string, KubernetesLeaseLock>;
  /** False: this process only follows. Default true. */
  readonly mayLead?: boolean;
  /** The name of this process' LeaseCandidate, in a coordinated election. */
  readonly candidate?: string | undefined;
  /** Write Events on the Lease. */
  readonly events: boolean;
  /** Labels for the leader's Pod. If empty, the Pod is not changed. */
  readonly leaderPodLabels: Readonly<Record<string, string>>;
  /** The status of pods is watched. Default: no. */
  readonly watchesPods?: boolean;
  readonly preflight: 'warn' | 'fail' | 'off';
  readonly retryPeriod: number;
}

/** The attendants that the options of an election ask for, and the guard of its terms, if there is one. */
export interface Attendance {
  readonly attendants: readonly Attendant[];
  readonly guard: TermGuard | undefined;
}

/**
 * Creates the attendants. Sends no request to the API server, except with `preflight: 'fail'`.
 *
 * @throws LeaderError `LEADER_PERMISSION_MISSING` with `preflight: 'fail'`.
 */
export async function attend(parts: AttendantsParts): Promise<Attendance> {
  const {
    connection,
    leaseNamespace: namespace,
    locks,
    mayLead = true,
    candidate,
    events,
    leaderPodLabels: labels,
    watchesPods = false,
    retryPeriod,
  } = parts;
  const isLabelled = Object.keys(labels).length > 0;
  const own: PodAddress | undefined = isLabelled || watchesPods ? ownPod(namespace) : undefined;
  const pod = isLabelled ? own : undefined;
  const preflight = new Preflight(connection, {
    namespace,
    leases: [...locks.keys()],
    mayLead,
    candidate: mayLead ? candidate : undefined,
    events,
    pod,
    watchedPod: watchesPods ? own : undefined,
  });
  const checked = parts.preflight === 'fail' && (await check(preflight, connection));
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

/**
 * Checks the permissions now.
 *
 * @returns false if the API server cannot be asked: an application must start even while its API server is down.
 * @throws LeaderError `LEADER_PERMISSION_MISSING`
 */
async function check(preflight: Preflight, connection: KubernetesConnection): Promise<boolean> {
  let missing: LeaderError | undefined;
  try {
    // First, because it may take long, and each permission check waits only a short time for its answer.
    await connection.start();
    missing = await preflight.missing();
  } catch {
    return false;
  }
  if (missing !== undefined) throw missing;
  return true;
}
