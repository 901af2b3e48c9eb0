/**
 * An elector that contends for a lease and says what happens to it as the other contenders do, and to whom one passing
 * failure happens when it is sent SIGUSR2: `OBSTACLE` says which.
 *
 *   watch   the watch that is open breaks
 *   claim   the next claim fails, as when the API server is restarted
 */
import { LeaseElector, LeaseRequestError, resolveElectionOptions } from 'nestjs-leader/election';
import type { LeaseLock } from 'nestjs-leader/election';
import { KubernetesConnection, KubernetesLeaseLock } from 'nestjs-leader/kubernetes';

function environment(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function say(event: string): void {
  const monotonicNs = process.hrtime.bigint().toString();
  process.stdout.write(`${JSON.stringify({ event, identity, monotonicNs })}\n`);
}

const identity = environment('IDENTITY');
const leaseName = environment('LEASE_NAME');
const leaseNamespace = environment('LEASE_NAMESPACE');
const obstacle = environment('OBSTACLE');
const connection = new KubernetesConnection({ kubeconfigFile: environment('KUBECONFIG') });
const lock = new KubernetesLeaseLock(connection, { name: leaseName, namespace: leaseNamespace, labels: {} });

let nextClaimFails = false;
let breakWatch = (): void => undefined;

const obstructed: LeaseLock = {
  describe: () => lock.describe(),
  get: (call) => lock.get(call),
  create: (record, call) => lock.create(record, call),
  update: async (base, record, call) => {
    if (nextClaimFails) {
      nextClaimFails = false;
      throw new LeaseRequestError('LEADER_SERVER_ERROR', 'This failure is part of the measurement.', {
        maybeCommitted: true,
      });
    }
    return lock.update(base, record, call);
  },
  watch: async (onEvent, signal) => {
    const broken = new AbortController();
    breakWatch = () => {
      broken.abort();
    };
    await lock.watch(onEvent, AbortSignal.any([signal, broken.signal]));
    if (broken.signal.aborted && !signal.aborted)
      throw new LeaseRequestError('LEADER_UNREACHABLE', 'This failure is part of the measurement.', {
        maybeCommitted: false,
      });
  },
};

const elector = new LeaseElector({
  lock: obstructed,
  options: resolveElectionOptions({ leaseName, leaseNamespace, identity }, { leaseNamespace, identity }),
});
process.on('SIGUSR2', () => {
  if (obstacle === 'watch') breakWatch();
  else nextClaimFails = true;
});
const stop = new AbortController();
process.once('SIGTERM', () => {
  stop.abort();
});
say('ready');
await elector.run(stop.signal, (event) => {
  if (event.type === 'startedLeading') say('started');
  if (event.type === 'stoppedLeading') say('stopped');
  if (event.type === 'newLeader') say('leader');
});
connection.close();
