/** Set-ups with broken rights and tokens on the real API server, which has its own words and its own time for them. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { onRealApiServer, type Stage } from '../processes/on-real-api-server.js';
import { Night } from './night.js';

const NAMESPACE = '/api/v1/namespaces/default';
const LEASES = { apiGroups: ['coordination.k8s.io'], resources: ['leases'], resourceNames: ['jobs'] };

let night: Night;
beforeEach(() => {
  night = new Night();
});
afterEach(() => night.end());

onRealApiServer('on the real API server', { users: ['billing'] }, (stage) => {
  const start = async (token: string): Promise<void> => {
    const { url: server, ca: certificateAuthority } = stage.server;
    const kubernetes = { server, token, certificateAuthority };
    await night.replica('billing-7c5d9-k2xlp', { leaseName: 'jobs', kubernetes, preflight: 'warn' });
  };

  it('a wrong Role names the verb, in the log, by the doctor, and leads to its cause', async () => {
    await stage.server.grant('default', 'billing', [{ ...LEASES, verbs: ['get', 'create', 'watch'] }]);
    await start('billing-token');
    await night.line(/LEADER_PERMISSION_MISSING: .*update on leases/);
    await night.line(/LEADER_FORBIDDEN: .*does not permit (create|update) on leases/);
    await night.command(stage.server.kubeconfig({ user: 'billing' }), 'doctor', 'jobs', '--observe', '1s');
    const shown = await night.shown();
    expect(shown.printed).toMatch(/fail +permissions .*: .*update on leases/);
    expect(shown.all).not.toContain('billing-token');
    shown.leadsTo('LEADER_PERMISSION_MISSING', /wrong Role or RoleBinding/);
    shown.leadsTo('LEADER_FORBIDDEN', /wrong Role or RoleBinding/);
  });

  it('a token that is revoked under the leader ends its term, and leads to its cause', async () => {
    const account = 'system:serviceaccount:default:revoked';
    await stage.server.serviceAccountToken('default', 'revoked');
    await stage.server.grant('default', account, [
      { ...LEASES, verbs: ['get', 'create', 'update', 'watch'] },
    ]);
    const token = await boundToken(stage);
    await start(token);
    await night.line(/Leading 'jobs'/);
    await stage.server.client.demand('DELETE', `${NAMESPACE}/secrets/bound`);
    await night.line(/LEADER_UNAUTHORIZED/);
    await night.line(/Lost 'jobs' as .*: deadline/);
    const shown = await night.shown();
    expect(shown.health).toContain('"code":"LEADER_UNAUTHORIZED"');
    expect(shown.all).not.toContain(token);
    shown.leadsTo('LEADER_UNAUTHORIZED', /the token has expired or was revoked/);
  });
});

/** A token of the account that is valid while its secret exists. */
async function boundToken({ server }: Stage): Promise<string> {
  await server.client.demand('POST', `${NAMESPACE}/secrets`, { body: { metadata: { name: 'bound' } } });
  const boundObjectRef = { apiVersion: 'v1', kind: 'Secret', name: 'bound' };
  const { json } = await server.client.demand('POST', `${NAMESPACE}/serviceaccounts/revoked/token`, {
    body: { spec: { expirationSeconds: 3_600, boundObjectRef } },
  });
  return (json as { status: { token: string } }).status.token;
}
