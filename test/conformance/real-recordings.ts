/** What real processes have recorded is replayed, and every step of it is one that the rules allow. */
import { expect } from 'vitest';
import type { Stage } from '../processes/on-real-api-server.js';
import type { ReplicaFleet } from '../processes/replica-fleet.js';
import { addUses } from './fleet-traces.js';
import { checked, recordingsIn, replayed } from './replay.js';
import type { Transition } from './transitions.js';

/** Starts a fleet whose replicas record their elections. */
export function recordingFleet(stage: Stage, count: number, timing: object): Promise<ReplicaFleet> {
  return stage.fleet(count, { ...timing, trace: 'json' });
}

/** Stops the fleet, replays what each replica has recorded, and has it checked. Returns which transitions they used. */
export async function expectLawful(fleet: ReplicaFleet): Promise<ReadonlyMap<Transition, number>> {
  await fleet.expectSound();
  const used = new Map<Transition, number>();
  let steps = 0;
  for (const { identity } of fleet.replicas) {
    const recordings = recordingsIn(fleet.outputs.get(identity) ?? '');
    expect(recordings.size, `recordings of ${identity}`).toBe(1);
    for (const lines of recordings.values()) {
      const replay = replayed(lines);
      addUses(used, checked(replay).used);
      steps += replay.steps.length;
    }
  }
  console.log(`${String(steps)} steps of ${String(fleet.replicas.length)} processes replayed and explained`);
  return used;
}
