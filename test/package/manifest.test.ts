/** The manifest of docs/operations.md on a real API server: every object is accepted, and the permissions suffice to lead. */
import { loadAllYaml } from '@kubernetes/client-node';
import { expect, it } from 'vitest';
import { LeaseElector, resolveElectionOptions } from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { onRealApiServer } from '../processes/on-real-api-server.js';
import { examplesIn } from './consumer.js';

const GROUPS: Readonly<Record<string, string>> = {
  ServiceAccount: '/api/v1/namespaces/default/serviceaccounts',
  Role: '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles',
  RoleBinding: '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings',
  Deployment: '/apis/apps/v1/namespaces/default/deployments',
  PodDisruptionBudget: '/apis/policy/v1/namespaces/default/poddisruptionbudgets',
  Service: '/api/v1/namespaces/default/services',
};
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/default/leases';

onRealApiServer('the manifest of docs/operations.md', {}, (stage) => {
  it('is accepted, and permits its service account exactly what an election needs', async () => {
    const { client, url, ca } = stage.server;
    const manifest = loadAllYaml((await examplesIn('docs/operations.md')).get('billing.yaml') ?? '') as {
      kind: string;
    }[];
    expect(manifest.map(({ kind }) => kind).sort()).toEqual(Object.keys(GROUPS).sort());
    for (const object of manifest)
      await client.demand('POST', `${String(GROUPS[object.kind])}?fieldValidation=Strict`, { body: object });

    const token = await stage.server.serviceAccountToken('default', 'billing');
    const connection = new KubernetesConnection({ server: url, token, certificateAuthority: ca });
    const [namespace, name, identity] = ['default', 'billing', 'billing-1'];
    const lock = new KubernetesLeaseLock(connection, { name, namespace, labels: {} });
    const options = resolveElectionOptions({ leaseName: name }, { leaseNamespace: namespace, identity });
    const stop = new AbortController();
    const told: string[] = [];
    await new LeaseElector({ lock, options }).run(stop.signal, (event) => {
      if (event.type !== 'stateChanged') told.push(event.type);
      if (event.type === 'startedLeading') stop.abort();
    });
    connection.close();
    expect(told).toEqual(expect.arrayContaining(['startedLeading', 'stoppedLeading']));
    expect(told).not.toContain('error');

    const itsLease = `${LEASES}?fieldSelector=metadata.name%3Dbilling`;
    expect((await client.request('GET', itsLease, { token })).status).toBe(403);
    const watch = await client.request('GET', `${itsLease}&watch=true&timeoutSeconds=1`, { token });
    expect(watch.status).toBe(200);
    expect((await client.request('GET', LEASES, { token })).status).toBe(403);
  });
});
