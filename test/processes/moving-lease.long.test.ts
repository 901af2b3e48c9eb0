/** An election that moves to another Lease, one rollout per step, while it works (docs/coming-from-go.md). */
import { expect, it } from 'vitest';
import { onRealApiServer } from './on-real-api-server.js';
import { CALM, type ReplicaFleet } from './replica-fleet.js';

const OLD = 'before-the-move';
const REPLICAS = 2;

onRealApiServer('moving an election to another Lease', {}, (stage) => {
  /** One new replica comes and one old one goes, until all are new. */
  const rollOut = async (fleet: ReplicaFleet, leases: object): Promise<void> => {
    for (const leaving of fleet.replicas.filter(({ isRunning }) => isRunning)) {
      await fleet.join(leases);
      leaving.signal('SIGTERM');
      expect(await leaving.exited).toBe('SIGTERM');
      await fleet.leader();
    }
    await fleet.settled();
  };

  it('rolls out both Leases, then the new one alone, with never two leaders and increasing tokens', async () => {
    const fleet = stage.emptyFleet(CALM);
    await fleet.grow(REPLICAS, { leaseName: OLD });
    await rollOut(fleet, { alsoLease: OLD });
    await rollOut(fleet, {});
    await fleet.expectSound();
  });
});
