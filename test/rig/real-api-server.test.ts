import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RealApiServer } from './real-api-server.js';
import { findServers } from './servers.js';

const found = findServers();

if (!found.available) {
  describe('the real API server', () => {
    it(`is not here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
} else {
  describe('the real API server', () => {
    let server: RealApiServer;
    const leases = '/apis/coordination.k8s.io/v1/namespaces/rig/leases';

    beforeAll(async () => {
      server = await RealApiServer.start({ users: ['alice'] });
      await server.createNamespace('rig');
    });

    afterAll(async () => {
      await server.stop();
    });

    it('stores leases, and refuses a stale update', async () => {
      const body = { metadata: { name: 'one' }, spec: { holderIdentity: 'a', leaseDurationSeconds: 15 } };
      const made = await server.client.demand('POST', leases, { body });
      const { metadata } = made.json as { metadata: { resourceVersion: string } };
      const changed = { ...body, metadata: { ...body.metadata, resourceVersion: metadata.resourceVersion } };
      changed.spec = { ...body.spec, holderIdentity: 'b' };
      expect((await server.client.request('PUT', `${leases}/one`, { body: changed })).status).toBe(200);
      changed.spec = { ...body.spec, holderIdentity: 'c' };
      expect((await server.client.request('PUT', `${leases}/one`, { body: changed })).status).toBe(409);
    });

    it('permits a user what was granted, and nothing else', async () => {
      const token = 'alice-token';
      expect((await server.client.request('GET', `${leases}/one`, { token })).status).toBe(403);
      await server.grant('rig', 'alice', [
        { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get'] },
      ]);
      expect((await server.client.request('GET', `${leases}/one`, { token })).status).toBe(200);
    });

    it('recognises service accounts by their tokens', async () => {
      const token = await server.serviceAccountToken('rig', 'elector');
      const reviews = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
      const { json } = await server.client.demand('POST', reviews, { token, body: {} });
      expect(json).toMatchObject({ status: { userInfo: { username: 'system:serviceaccount:rig:elector' } } });
    });

    it('does not answer while it is frozen, and continues when it is thawed', async () => {
      server.freeze();
      await expect(server.client.request('GET', '/readyz', { patienceMs: 300 })).rejects.toThrow('no answer');
      server.thaw();
      expect((await server.client.request('GET', '/readyz')).text).toBe('ok');
    });

    it('refuses connections after it was killed', async () => {
      await server.kill();
      await expect(server.client.request('GET', '/readyz')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
      await server.restart();
    });

    it('keeps its data when it is started again', async () => {
      await server.restart();
      expect((await server.client.request('GET', `${leases}/one`)).status).toBe(200);
    });
  });
}
