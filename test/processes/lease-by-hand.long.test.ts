/** Edits of a Lease in use by an administrator. The fleet notices each, gives way, and recovers. */
import { expect, it } from 'vitest';
import { onRealApiServer } from './on-real-api-server.js';
import { BRISK, CALM, type ReplicaFleet } from './replica-fleet.js';
import { machineNow } from './replica/messages.js';

const MERGE_PATCH = 'application/merge-patch+json';

onRealApiServer('a Lease in use, changed by hand', {}, (stage) => {
  /** Like `kubectl patch --type=merge` and `kubectl edit`. */
  const patch = async (fleet: ReplicaFleet, body: object): Promise<void> => {
    await stage.server.client.demand('PATCH', fleet.leasePath, { body, contentType: MERGE_PATCH });
  };

  it('deleted: the leader stops, and one replica re-creates it with a larger token', async () => {
    const fleet = await stage.fleet(3, BRISK);
    const { replica: leader, claim } = await fleet.leader();
    const deletedAt = machineNow();
    await stage.server.client.demand('DELETE', fleet.leasePath);
    expect(await leader.claimEnded(claim)).toMatchObject({ reason: 'leaseGone' });
    const next = await fleet.nextTerm(deletedAt);
    expect(next.token).toBeGreaterThan(claim.token);
    await fleet.expectSound();
  });

  it('deleted while the leader is cut off: the others wait as long as it may lead', async () => {
    const fleet = await stage.fleet(3, BRISK);
    const { replica: leader, claim } = await fleet.leader();
    leader.proxy.stall();
    const deletedAt = machineNow();
    await stage.server.client.demand('DELETE', fleet.leasePath);
    expect(await leader.claimEnded(claim)).toMatchObject({ reason: 'deadline' });
    await fleet.nextTerm(deletedAt, leader);
    leader.proxy.heal();
    await fleet.expectSound();
  });

  it('given to another name: the leader stops, and that name is respected before another replica leads', async () => {
    const fleet = await stage.fleet(3, BRISK);
    const { replica: leader, claim } = await fleet.leader();
    const editedAt = machineNow();
    await patch(fleet, { spec: { holderIdentity: 'somebody-else' } });
    expect(await leader.claimEnded(claim)).toMatchObject({ reason: 'superseded' });
    for (const replica of fleet.replicas) {
      await replica.told('leader', ({ identity }) => identity === 'somebody-else');
    }
    await fleet.nextTerm(editedAt);
    await fleet.expectSound();
  });

  it('emptied: the leader stops, and one replica leads again', async () => {
    const fleet = await stage.fleet(3, BRISK);
    const { replica: leader, claim } = await fleet.leader();
    // The leader learns of it first, however busy the machine is. emptied-lease.test.ts tests the other order.
    for (const replica of fleet.replicas) if (replica !== leader) replica.proxy.delay(200);
    const emptiedAt = machineNow();
    await patch(fleet, { spec: { holderIdentity: '' } });
    expect(await leader.claimEnded(claim)).toMatchObject({ reason: 'released' });
    await fleet.nextTerm(emptiedAt);
    await fleet.expectSound();
  });

  it('labelled and annotated: the term continues, and the additions stay', async () => {
    const fleet = await stage.fleet(2, CALM);
    const { claim } = await fleet.leader();
    const metadata = { labels: { team: 'billing' }, annotations: { 'example.com/note': 'ours' } };
    await patch(fleet, { metadata });
    await fleet.renewed(claim);
    const { json } = await stage.server.client.demand('GET', fleet.leasePath);
    expect(json).toMatchObject({ metadata, spec: { holderIdentity: claim.replica } });
    await fleet.expectSound();
  });

  it('given another duration: it is no longer the leader’s record, so the leader stops, and all wait for the new duration', async () => {
    const fleet = await stage.fleet(2, BRISK);
    const { replica: leader, claim } = await fleet.leader();
    const editedAt = machineNow();
    await patch(fleet, { spec: { leaseDurationSeconds: 5 } });
    expect(await leader.claimEnded(claim)).toMatchObject({ reason: 'superseded' });
    const next = await fleet.nextTerm(editedAt);
    // All share one clock, so a term begins 5 s after the edit at the earliest.
    expect(next.from).toBeGreaterThan(editedAt + 5_000);
    await fleet.expectSound();
  });
});
