/** The permissions of a replica are removed while it leads, and granted again. */
import { expect, it } from 'vitest';
import type { RealApiServer } from '../rig/real-api-server.js';
import { onRealApiServer } from './on-real-api-server.js';
import { BRISK } from './replica-fleet.js';
import { machineNow } from './replica/messages.js';

const NEEDED = [
  {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    verbs: ['get', 'create', 'update', 'list', 'watch'],
  },
];
const USERS = ['replica-1', 'replica-2'];

/** Each replica is a user of its own. */
const permit = async (server: RealApiServer, users = USERS): Promise<void> => {
  await Promise.all(users.map((user) => server.grant('default', user, NEEDED)));
};
const forbid = async (server: RealApiServer, users = USERS): Promise<void> => {
  await Promise.all(users.map((user) => server.grant('default', user, [])));
};

onRealApiServer('permissions', { users: USERS }, (stage) => {
  const kubeconfig = (identity: string, server: string): string =>
    stage.server.kubeconfig({ user: identity, server });

  it('removed from all: nobody leads until they are granted again', async () => {
    await permit(stage.server);
    const fleet = await stage.fleet(2, BRISK, { kubeconfig });
    const { replica: leader, claim } = await fleet.leader();
    await forbid(stage.server);
    expect(await leader.claimEnded(claim)).toMatchObject({ reason: 'deadline' });
    expect(leader.log).toContain('LEADER_FORBIDDEN');
    const forbiddenUntil = machineNow();
    await permit(stage.server);
    expect((await fleet.nextTerm(claim.from)).from).toBeGreaterThan(forbiddenUntil);
    await fleet.expectSound();
  });

  it('removed from the leader: another leads, and hands over to it when it has them again', async () => {
    await permit(stage.server);
    const fleet = await stage.fleet(2, BRISK, { kubeconfig });
    const { replica: leader, claim } = await fleet.leader();
    await forbid(stage.server, [leader.identity]);
    const next = await fleet.nextTerm(claim.from, leader);
    expect(await leader.claimEnded(claim)).toMatchObject({ reason: 'deadline' });
    await permit(stage.server, [leader.identity]);
    const struckAt = machineNow();
    fleet.replicas.find(({ identity }) => identity === next.replica)?.signal('SIGTERM');
    expect(await fleet.nextTerm(struckAt)).toMatchObject({ replica: leader.identity });
    await fleet.expectSound();
  });
});
