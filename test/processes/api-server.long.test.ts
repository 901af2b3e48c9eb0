/** Failures of the API server, which affect all replicas at once: restarts, freezes, rollouts, and the loss of its etcd. */
import { expect, it } from 'vitest';
import { onRealApiServer } from './on-real-api-server.js';
import { BRISK, CALM, type ReplicaFleet } from './replica-fleet.js';
import { machineNow } from './replica/messages.js';

/** Waits until the followers, which send nothing while they respect a lease, have claimed it. Nobody leads then. */
async function leaseRunsOut(fleet: ReplicaFleet): Promise<void> {
  const { replica: leader, claim } = await fleet.leader();
  const followers = fleet.replicas.filter((replica) => replica !== leader);
  const asked = followers.map(({ proxy }) => proxy.next('requests'));
  expect(await leader.claimEnded(claim)).toMatchObject({ reason: 'deadline' });
  await Promise.all(asked);
}

onRealApiServer('the API server', {}, (stage) => {
  it('is restarted: two replicas never lead at the same time', async () => {
    const fleet = await stage.fleet(3, BRISK, { registers: true });
    await stage.server.restart();
    const { claim } = await fleet.leader();
    await fleet.renewed(claim);
    await fleet.expectSound();
  });

  it('is gone for longer than the lease: nobody leads meanwhile', async () => {
    const fleet = await stage.fleet(3, BRISK, { registers: true });
    const { replica: leader, claim } = await fleet.leader();
    await stage.server.kill();
    expect(await leader.claimEnded(claim)).toMatchObject({ reason: 'deadline' });
    const goneUntil = machineNow();
    await stage.server.restart();
    expect((await fleet.nextTerm(claim.from)).from).toBeGreaterThan(goneUntil);
    await fleet.expectSound();
  });

  it('is frozen for longer than the lease: nobody leads meanwhile, and late writes make no second leader', async () => {
    const fleet = await stage.fleet(3, BRISK, { registers: true });
    const { claim } = await fleet.leader();
    stage.server.freeze();
    await leaseRunsOut(fleet).finally(() => {
      stage.server.thaw();
    });
    await fleet.nextTerm(claim.from);
    await fleet.expectSound();
  });

  it('is replaced in a rollout: no term is lost, and watches, which it would leave open and silent, move at once', async () => {
    const fleet = await stage.fleet(3, CALM, { registers: true });
    const { replica: leader, claim } = await fleet.leader();
    const old = await stage.server.rollOut();
    for (const { proxy } of fleet.replicas) proxy.target = new URL(stage.server.url);
    await fleet.renewed(claim);
    leader.signal('SIGKILL');
    await fleet.nextTerm(machineNow());
    // With open watches its shutdown would have taken a minute.
    expect(old.hasEnded).toBe(true);
    await fleet.expectSound();
  });
});

onRealApiServer('the etcd of the API server', {}, (stage) => {
  it('has crashed: nobody leads until it is back', async () => {
    const fleet = await stage.fleet(3, BRISK, { registers: true });
    const { replica: leader, claim } = await fleet.leader();
    await stage.server.killEtcd();
    expect(await leader.claimEnded(claim)).toMatchObject({ reason: 'deadline' });
    const goneUntil = machineNow();
    stage.server.startEtcd();
    expect((await fleet.nextTerm(claim.from)).from).toBeGreaterThan(goneUntil);
    await fleet.expectSound();
  });

  it('is frozen for longer than the lease: late writes make no second leader', async () => {
    const fleet = await stage.fleet(3, BRISK, { registers: true });
    const { claim } = await fleet.leader();
    stage.server.freezeEtcd();
    await leaseRunsOut(fleet).finally(() => {
      stage.server.thawEtcd();
    });
    await fleet.nextTerm(claim.from);
    await fleet.expectSound();
  });
});
