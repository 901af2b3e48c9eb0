/** What real processes have recorded is replayed, and every step of it is one that the rules allow. */
import { expect } from 'vitest';
import type { Stage } from '../processes/on-real-api-server.js';
import { BRISK, type ReplicaFleet } from '../processes/replica-fleet.js';
import { machineNow } from '../processes/replica/messages.js';
import { addUses } from './fleet-traces.js';
import { checked, recordingsIn, replayed } from './replay.js';
import type { Transition } from './transitions.js';

/** Starts a fleet whose replicas record their elections. */
export function recordingFleet(stage: Stage, count: number): Promise<ReplicaFleet> {
  return stage.fleet(count, { ...BRISK, trace: 'json' });
}

/** Stops the fleet, replays what each replica has recorded, and has it checked. Returns which transitions they used. */
export async function expectLawful(fleet: ReplicaFleet): Promise<ReadonlyMap<Transition, number>> {
  await fleet.expectSound();
  const used = new Map<Transition, number>();
  for (const { identity } of fleet.replicas) {
    const recordings = recordingsIn(fleet.outputs.get(identity) ?? '');
    expect(recordings.size, `recordings of ${identity}`).toBe(1);
    for (const lines of recordings.values()) addUses(used, checked(replayed(lines)).used);
  }
  return used;
}

/** The leader is told to stop, and hands over. */
export async function handsOver(fleet: ReplicaFleet): Promise<void> {
  const { replica: leader } = await fleet.leader();
  const since = machineNow();
  leader.signal('SIGTERM');
  await leader.exited;
  await fleet.nextTerm(since, leader);
}
