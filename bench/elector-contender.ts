/**
 * Bare electors, one or many on one connection. With `--obstacle` one temporary failure is injected at SIGUSR2:
 *
 *   watch   the open watch breaks
 *   claim   the next claim fails, as when the API server is restarted
 */
import {
  LeaseElector,
  LeaseRequestError,
  isLeaderError,
  resolveElectionOptions,
  type LeaseLock,
} from 'nestjs-leader/election';
import { KubernetesConnection, KubernetesLeaseLock } from 'nestjs-leader/kubernetes';
import { identity, kubernetes, leases, namespace, obstacle, say } from './contender-arguments.js';

const connection = new KubernetesConnection(kubernetes);
const stop = new AbortController();
process.once('SIGTERM', () => {
  stop.abort();
});
say('ready');
await Promise.all(leases.map((lease) => contend(lease)));
connection.close();

function contend(lease: string): Promise<void> {
  const lock = new KubernetesLeaseLock(connection, { name: lease, namespace, labels: {} });
  const elector = new LeaseElector({
    lock: obstacle === undefined ? lock : obstructed(lock, obstacle),
    options: resolveElectionOptions(
      { leaseName: lease, leaseNamespace: namespace, identity },
      { leaseNamespace: namespace, identity },
    ),
  });
  return elector.run(stop.signal, (event) => {
    if (event.type === 'startedLeading') say('started', { lease });
    if (event.type === 'stoppedLeading') say('stopped', { lease });
    if (event.type === 'newLeader') say('leader', { lease, leader: event.identity });
    if (event.type === 'error' && isLeaderError(event.error, 'LEADER_REQUEST_TIMEOUT'))
      say('timeout', { lease });
  });
}

function obstructed(lock: LeaseLock, obstacle: string): LeaseLock {
  let nextClaimFails = false;
  let breakWatch = (): void => undefined;
  process.on('SIGUSR2', () => {
    if (obstacle === 'watch') breakWatch();
    else nextClaimFails = true;
  });
  return {
    describe: () => lock.describe(),
    get: (call) => lock.get(call),
    create: (record, call) => lock.create(record, call),
    update: async (base, record, call) => {
      if (nextClaimFails) {
        nextClaimFails = false;
        throw failure('LEADER_SERVER_ERROR', true);
      }
      return lock.update(base, record, call);
    },
    watch: async (onEvent, signal) => {
      const broken = new AbortController();
      breakWatch = () => {
        broken.abort();
      };
      await lock.watch?.(onEvent, AbortSignal.any([signal, broken.signal]));
      if (broken.signal.aborted && !signal.aborted) throw failure('LEADER_UNREACHABLE', false);
    },
  };
}

function failure(code: 'LEADER_SERVER_ERROR' | 'LEADER_UNREACHABLE', maybeCommitted: boolean): Error {
  return new LeaseRequestError(code, 'This failure is part of the measurement.', { maybeCommitted });
}
