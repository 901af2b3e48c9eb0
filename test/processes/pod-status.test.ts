/**
 * The leader is killed, and the status of its pod says so, as a kubelet would write it; no kubelet runs here. The lease lasts ten
 * minutes, so another leads within the test only if it was proven that the leader is dead.
 */
import { expect, it } from 'vitest';
import { Gathering } from '../kubernetes/gathering.js';
import { RigPod, newContainerId, time } from '../rig/rig-pod.js';
import type { Claim } from '../../sample-app/demo/check-claims.js';
import { onRealApiServer } from './on-real-api-server.js';
import { BRISK, type ReplicaFleet } from './replica-fleet.js';
import type { ReplicaProcess } from './replica-process.js';
import { machineNow } from './replica/messages.js';

const LONG = {
  leaseDuration: 600_000,
  renewDeadline: 400_000,
  retryPeriod: 5_000,
  // The container's id is learned after the first write, and noted with the next.
  renewInterval: 500,
};

onRealApiServer('a leader whose death its pod reports', { users: ['replica'] }, (stage) => {
  const pods = new Map<ReplicaProcess, RigPod>();
  let count = 0;

  /** A replica in a pod of its own, whose status says that its container runs. */
  const join = async (fleet: ReplicaFleet, otherwise: object = {}): Promise<ReplicaProcess> => {
    count += 1;
    const pod = await RigPod.create(stage.server, `replica-${String(count)}`);
    const replica = await fleet.join({ takeover: 'podStatus', ...otherwise }, { command: [], env: pod.env });
    pods.set(replica, pod);
    await pod.report([pod.running]);
    return replica;
  };

  const podOf = (replica: ReplicaProcess): RigPod => {
    const pod = pods.get(replica);
    if (pod === undefined) throw new Error('this replica has no pod');
    return pod;
  };

  /** What the holder noted about its process. */
  const noted = async (fleet: ReplicaFleet): Promise<string> => {
    const { json } = await stage.server.client.demand('GET', fleet.leasePath);
    const { annotations = {} } = (json as { metadata: { annotations?: Record<string, string> } }).metadata;
    return annotations['nestjs-leader/process'] ?? '';
  };

  /** Resolves when the holder has noted the id of its container. */
  const idNoted = (fleet: ReplicaFleet, pod: RigPod): Promise<void> =>
    new Gathering().poll(async () => (await noted(fleet)).includes(pod.containerId));

  const kill = async (replica: ReplicaProcess): Promise<void> => {
    replica.signal('SIGKILL');
    expect(await replica.exited).toBe('SIGKILL');
  };

  /** Reports the end of its container, and resolves with the term that follows. */
  const nextTermAfter = async (
    fleet: ReplicaFleet,
    dead: ReplicaProcess,
    status = podOf(dead).killed(),
  ): Promise<Claim> => {
    const reportedAt = machineNow();
    fleet.provenDead(dead);
    await podOf(dead).report([status]);
    const next = await fleet.nextTerm(reportedAt, dead);
    return next;
  };

  it.each<[string, (pod: RigPod) => object]>([
    ['as terminated', (pod) => pod.killed({ reason: 'OOMKilled' })],
    [
      'as terminated before the instance that runs now',
      (pod) =>
        pod.container(
          { running: { startedAt: time(6) } },
          { containerID: newContainerId(), restartCount: 1, lastState: { terminated: pod.end() } },
        ),
    ],
  ])('another leads as soon as the container is reported %s', async (_, reported) => {
    const fleet = stage.emptyFleet(LONG);
    await join(fleet);
    await join(fleet);
    const leader = await fleet.settled();
    await idNoted(fleet, podOf(leader));
    await kill(leader);
    const next = await nextTermAfter(fleet, leader, reported(podOf(leader)));
    expect(next.replica).not.toBe(leader.identity);
    await fleet.expectSound();
  });

  it('nothing else that is said about the pod is taken for its death, and the leader works on', async () => {
    const fleet = stage.emptyFleet(LONG);
    await join(fleet);
    await join(fleet);
    const leader = await fleet.settled();
    const { claim } = await fleet.leader();
    const pod = podOf(leader);
    await idNoted(fleet, pod);
    await pod.report([pod.running], { phase: 'Unknown', reason: 'NodeLost' });
    await pod.report([pod.running], { phase: 'Failed', reason: 'Evicted' });
    await pod.report([pod.killed({ exitCode: 255, reason: 'Unknown' })]);
    await pod.report([pod.killed({ reason: 'ContainerStatusUnknown' })]);
    await pod.report([pod.killed({ containerID: newContainerId() })]);
    await pod.report([pod.running], { conditions: [{ type: 'Ready', status: 'False' }] });
    await pod.delete(30);
    await fleet.renewed(claim);
    await kill(leader);
    await nextTermAfter(fleet, leader);
    await fleet.expectSound();
  });

  it('the next leader is followed in its turn', async () => {
    const fleet = stage.emptyFleet(LONG);
    await join(fleet);
    await join(fleet);
    await join(fleet);
    let leader: ReplicaProcess | undefined = await fleet.settled();
    for (let round = 1; round <= 2 && leader !== undefined; round += 1) {
      await idNoted(fleet, podOf(leader));
      await kill(leader);
      const { replica } = await nextTermAfter(fleet, leader);
      leader = fleet.replicas.find(({ identity }) => identity === replica);
    }
    await fleet.expectSound();
  });

  it('without the right to watch pods that is said once, and the lease is waited out', async () => {
    await stage.server.grant('default', 'replica', [
      {
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        verbs: ['get', 'create', 'update', 'watch'],
      },
    ]);
    const kubeconfig = (_: string, server: string): string =>
      stage.server.kubeconfig({ user: 'replica', server });
    const fleet = stage.emptyFleet(BRISK, { kubeconfig });
    await join(fleet, { preflight: 'off' });
    await join(fleet, { preflight: 'off' });
    const leader = await fleet.settled();
    const { claim } = await fleet.leader();
    await kill(leader);
    await podOf(leader).report([podOf(leader).killed()]);
    const next = await fleet.nextTerm(claim.from, leader);
    const follower = fleet.replicas.find(({ identity }) => identity === next.replica);
    expect(follower?.log.match(/LEADER_POD_STATUS_FAILED/g)).toHaveLength(1);
    expect(follower?.log).toContain('resources: ["pods"]');
    await fleet.expectSound();
  });
});
