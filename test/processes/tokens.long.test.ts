/** The leader's token is revoked, as when a lost node is removed from the cluster; then the leader gets a new one. */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { scratchFolder } from '../rig/guard.js';
import { onRealApiServer, type Stage } from './on-real-api-server.js';
import { BRISK } from './replica-fleet.js';
import { machineNow } from './replica/messages.js';

const ACCOUNT = 'replicas';
const NAMESPACE = '/api/v1/namespaces/default';

onRealApiServer('tokens', {}, (stage) => {
  it("when the leader's is revoked another leads, and with a new one it leads again", async () => {
    const folder = await scratchFolder('tokens');
    await stage.server.serviceAccountToken('default', ACCOUNT);
    await stage.server.grant('default', `system:serviceaccount:default:${ACCOUNT}`, [
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['*'] },
    ]);
    const fileOf = (identity: string): string => join(folder, identity);
    await writeFile(fileOf('replica-1'), await tokenBoundTo(stage, 'first'));
    await writeFile(fileOf('replica-2'), await tokenBoundTo(stage, 'second'));
    const secrets: Record<string, string> = { 'replica-1': 'first', 'replica-2': 'second' };
    const fleet = await stage.fleet(2, BRISK, {
      kubeconfig: (identity, server) => {
        const provider = { name: 'tokenFile', config: { tokenFile: fileOf(identity) } };
        return stage.server.kubeconfigWith({ 'auth-provider': provider }, { server });
      },
    });
    const { replica: leader, claim } = await fleet.leader();
    await stage.server.client.demand('DELETE', `${NAMESPACE}/secrets/${String(secrets[leader.identity])}`);
    const next = await fleet.nextTerm(claim.from, leader);
    expect(await leader.claimEnded(claim)).toMatchObject({ reason: 'deadline' });
    expect(leader.log).toContain('LEADER_UNAUTHORIZED');

    await writeFile(join(folder, 'new'), await tokenBoundTo(stage, 'third'));
    await rename(join(folder, 'new'), fileOf(leader.identity));
    const struckAt = machineNow();
    fleet.replicas.find(({ identity }) => identity === next.replica)?.signal('SIGTERM');
    expect(await fleet.nextTerm(struckAt)).toMatchObject({ replica: leader.identity });
    await fleet.expectSound();
  });
});

/** A token of the account that is valid while its secret exists. */
async function tokenBoundTo({ server }: Stage, secret: string): Promise<string> {
  await server.client.demand('POST', `${NAMESPACE}/secrets`, { body: { metadata: { name: secret } } });
  const boundObjectRef = { apiVersion: 'v1', kind: 'Secret', name: secret };
  const { json } = await server.client.demand('POST', `${NAMESPACE}/serviceaccounts/${ACCOUNT}/token`, {
    body: { spec: { expirationSeconds: 3_600, boundObjectRef } },
  });
  return (json as { status: { token: string } }).status.token;
}
