/**
 * From the status of a pod that says that the leader's container has terminated, to the next leader. The status is written as a
 * kubelet writes it. No kubelet runs here: what it adds is in docs/crashes.md.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Contender } from '../test/rig/contender.js';
import { RigPod } from '../test/rig/rig-pod.js';
import { nest } from './contenders.js';
import type { Surroundings } from './surroundings.js';
import { demand, now, saidAt } from './until.js';

/** The results of all trials, in milliseconds. */
export interface PodStatusFigures {
  /** From the request that writes the status, on a new connection, to the next leader. */
  readonly fromWrite: readonly number[];
  /** From the reply to that request. Negative: the next leader was there before. */
  readonly fromReply: readonly number[];
}

interface Replica {
  readonly contender: Contender;
  readonly pod: RigPod;
}

const LEASE = 'pod-status';
const WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 50;

/** Kills the leader of two Nest applications again and again, and reports its end in the status of its pod. */
export async function measurePodStatus(
  surroundings: Surroundings,
  trials: number,
  onTrial: (trial: number) => void,
): Promise<PodStatusFigures> {
  const figures = { fromWrite: [] as number[], fromReply: [] as number[] };
  let started = 0;
  const running = new Set<Replica>();
  const start = async (): Promise<Replica> => {
    started += 1;
    const { server, namespace, credentials } = surroundings;
    const pod = await RigPod.create(server, `${LEASE}-${String(started)}`, { namespace });
    const contender = await nest(surroundings).start({
      lease: LEASE,
      identity: pod.name,
      credentials: credentials[0],
      args: ['--takeover=podStatus'],
      env: { ...process.env, ...pod.env },
    });
    const replica = { contender, pod };
    running.add(replica);
    await pod.report([pod.running]);
    return replica;
  };
  try {
    let leader = await start();
    await demand('a leader', [leader.contender], WITHIN_MS, () => saidAt(leader.contender, 'started'));
    for (let trial = 1; trial <= trials; trial += 1) {
      const { contender, pod } = leader;
      const follower = await start();
      await demand('a follower', [follower.contender], WITHIN_MS, () => saidAt(follower.contender, 'leader'));
      while (!(await noted(surroundings)).includes(pod.containerId)) await pause(LOOK_EVERY_MS);
      await contender.kill();
      running.delete(leader);
      const from = now();
      const written = pod.report([pod.killed()]).then(now);
      const at = await demand('the next leader', [follower.contender], WITHIN_MS, () =>
        saidAt(follower.contender, 'started', from),
      );
      figures.fromWrite.push(at - from);
      figures.fromReply.push(at - (await written));
      leader = follower;
      onTrial(trial);
    }
  } finally {
    await Promise.all([...running].map(({ contender }) => contender.kill()));
  }
  return figures;
}

/** What the holder noted about its process. */
async function noted({ server, namespace }: Surroundings): Promise<string> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${LEASE}`;
  const { json } = await server.client.demand('GET', path);
  const { annotations = {} } = (json as { metadata: { annotations?: Record<string, string> } }).metadata;
  return annotations['nestjs-leader/process'] ?? '';
}
