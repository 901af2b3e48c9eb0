/** The lock on a real kube-apiserver: its writes, the smallest Role, and the errors of refusals. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type {
  LeaseCall,
  LeaseRecord,
  LeaseSnapshot,
  MicroTime,
  WatchEvent,
} from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { RealApiServer } from '../rig/real-api-server.js';
import { findServers } from '../rig/servers.js';

const found = findServers();

function call(): LeaseCall {
  return { signal: new AbortController().signal, newConnection: false };
}

const record: LeaseRecord = {
  holderIdentity: 'me',
  leaseDurationSeconds: 15,
  acquireTime: '2026-01-01T00:00:00.000001Z' as MicroTime,
  renewTime: '2026-01-01T00:00:00.000002Z' as MicroTime,
  leaseTransitions: 0,
};

if (!found.available) {
  describe('a lock on the real API server', () => {
    it(`is not tested here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
} else {
  describe('a lock on the real API server', () => {
    let server: RealApiServer;
    const leases = '/apis/coordination.k8s.io/v1/namespaces/ours/leases';

    const lockFor = (
      name: string,
      user = 'alice',
      namespace = 'ours',
      labels = {},
      serverClockMargin?: number,
    ): KubernetesLeaseLock => {
      const connection = new KubernetesConnection({
        server: server.url,
        token: `${user}-token`,
        certificateAuthority: server.ca,
      });
      return new KubernetesLeaseLock(connection, { name, namespace, labels }, serverClockMargin);
    };
    const grant = async (...names: string[]): Promise<void> => {
      await server.grant('ours', 'alice', [
        {
          apiGroups: ['coordination.k8s.io'],
          resources: ['leases'],
          resourceNames: names,
          verbs: ['get', 'create', 'update', 'list', 'watch'],
        },
      ]);
    };

    beforeAll(async () => {
      server = await RealApiServer.start({ users: ['alice', 'nobody'] });
      await server.createNamespace('ours');
      await grant('one', 'two', 'three', 'four', 'six', 'seven');
    });

    afterAll(async () => {
      await server.stop();
    });

    it('creates, reads and updates with a Role that names the lease', async () => {
      const lock = lockFor('one', 'alice', 'ours', { app: 'billing' });
      expect(await lock.get(call())).toBeUndefined();
      const created = await lock.create(record, call());
      expect(created).toMatchObject({ kind: 'written', snapshot: { record } });
      expect(await lock.create(record, call())).toEqual({ kind: 'conflict' });
      const snapshot = (await lock.get(call())) as LeaseSnapshot;
      const renewed = { ...record, renewTime: '2026-01-01T00:00:03.000002Z' as MicroTime };
      expect(await lock.update(snapshot, renewed, call())).toMatchObject({
        kind: 'written',
        snapshot: { record: renewed },
      });
      expect(await lock.update(snapshot, renewed, call())).toEqual({ kind: 'conflict' });
    });

    it('does not bring a deleted Lease back to life', async () => {
      const lock = lockFor('two');
      await lock.create(record, call());
      const snapshot = (await lock.get(call())) as LeaseSnapshot;
      await server.client.demand('DELETE', `${leases}/two`);
      expect(await lock.update(snapshot, record, call())).toEqual({ kind: 'conflict' });
      expect(await lock.get(call())).toBeUndefined();
    });

    it("keeps others' labels, annotations and spec fields, and restores its own label", async () => {
      const lock = lockFor('three', 'alice', 'ours', { app: 'billing' });
      await lock.create(record, call());
      await server.client.demand('PATCH', `${leases}/three`, {
        contentType: 'application/merge-patch+json',
        body: {
          metadata: { labels: { app: null, team: 'x' }, annotations: { note: 'y' } },
          spec: { strategy: 'OldestEmulationVersion', preferredHolder: 'z' },
        },
      });
      const snapshot = (await lock.get(call())) as LeaseSnapshot;
      await lock.update(snapshot, { ...record, holderIdentity: '' }, call());
      const stored = await server.client.demand('GET', `${leases}/three`);
      expect(stored.json).toMatchObject({
        metadata: { labels: { app: 'billing', team: 'x' }, annotations: { note: 'y' } },
        spec: { strategy: 'OldestEmulationVersion', preferredHolder: 'z', holderIdentity: '' },
      });
    });

    it('says how old a Lease is by the clock of the server, and each renewal makes it new', async () => {
      const lock = lockFor('seven', 'alice', 'ours', {}, 0);
      await lock.create(record, call());
      expect(await lock.get(call())).not.toHaveProperty('ageMs', expect.any(Number));
      let old = (await lock.get(call())) as LeaseSnapshot;
      while ((old.ageMs ?? 0) < 2_000) old = (await lock.get(call())) as LeaseSnapshot;
      const renewTime = '2026-01-01T00:00:03.000002Z' as MicroTime;
      await lock.update(old, { ...old.record, renewTime }, call());
      expect(await lock.get(call())).not.toHaveProperty('ageMs', expect.any(Number));
    });

    it('asks for a lease in an annotation, which renewals and a release keep and a claim removes', async () => {
      const lock = lockFor('six');
      await lock.create(record, call());
      await server.client.demand('PATCH', `${leases}/six`, {
        contentType: 'application/merge-patch+json',
        body: { metadata: { annotations: { note: 'y' } } },
      });
      const write = async (change: (now: LeaseRecord) => LeaseRecord): Promise<unknown> => {
        const base = (await lock.get(call())) as LeaseSnapshot;
        const written = await lock.update(base, change(base.record), call());
        expect(written.kind).toBe('written');
        const { json } = await server.client.demand('GET', `${leases}/six`);
        return (json as { metadata: object }).metadata;
      };
      const annotations = { note: 'y', 'nestjs-leader/wanted-by': 'other' };
      expect(await write((now) => ({ ...now, wantedBy: 'other' }))).toMatchObject({ annotations });
      expect((await lock.get(call()))?.record).toEqual({ ...record, wantedBy: 'other' });
      expect(await write((now) => ({ ...now, holderIdentity: '' }))).toMatchObject({ annotations });
      const { wantedBy: _, ...claim } = { ...record, holderIdentity: 'other', wantedBy: '' };
      expect(await write(() => claim)).toHaveProperty('annotations', { note: 'y' });
    });

    it('watches one lease: its current state, each change, and its deletion', async () => {
      const lock = lockFor('four');
      const made = await lock.create(record, call());
      if (made.kind !== 'written') throw new Error('not created');
      const events: WatchEvent[] = [];
      const stop = new AbortController();
      const ended = lock.watch((event) => {
        events.push(event);
        if (events.length === 2) void lock.update(made.snapshot, { ...record, holderIdentity: '' }, call());
        if (events.length === 3) void server.client.demand('DELETE', `${leases}/four`);
        if (events.length === 4) stop.abort();
      }, stop.signal);
      await ended;
      expect(events).toMatchObject([
        { kind: 'opened' },
        { kind: 'seen', snapshot: { record } },
        { kind: 'seen', snapshot: { record: { holderIdentity: '' } } },
        { kind: 'deleted' },
      ]);
    });

    it('names the refused request and the rule that grants it', async () => {
      await expect(lockFor('five').get(call())).rejects.toMatchObject({
        code: 'LEADER_FORBIDDEN',
        maybeCommitted: false,
        message: expect.stringContaining('resourceNames: ["five"]') as string,
      });
      await expect(lockFor('five').watch(() => undefined, call().signal)).rejects.toMatchObject({
        code: 'LEADER_FORBIDDEN',
      });
    });

    it('names other causes of refusals: a quota, a policy, a namespace that is being deleted, no credentials', async () => {
      const { client } = server;
      const refusedIn = (namespace: string): Promise<unknown> =>
        lockFor('one', 'admin', namespace)
          .create(record, call())
          .catch((error: unknown) => error);
      const says = (text: string): object => ({
        code: 'LEADER_FORBIDDEN',
        message: expect.stringContaining(text) as string,
      });

      await server.createNamespace('counted');
      const hard = { 'count/leases.coordination.k8s.io': '0' };
      const quotas = '/api/v1/namespaces/counted/resourcequotas';
      await client.demand('POST', quotas, { body: { metadata: { name: 'few' }, spec: { hard } } });
      // In a full cluster a controller writes this.
      await client.demand('PATCH', `${quotas}/few/status`, {
        contentType: 'application/merge-patch+json',
        body: { status: { hard, used: hard } },
      });
      expect(await refusedIn('counted')).toMatchObject(says("The quota 'few' does not allow the request"));

      await server.createNamespace('going');
      const finalizing = { metadata: { name: 'held', finalizers: ['example.com/held'] } };
      await client.demand('POST', '/api/v1/namespaces/going/configmaps', { body: finalizing });
      await client.demand('DELETE', '/api/v1/namespaces/going');
      expect(await refusedIn('going')).toMatchObject(says("The namespace 'going' is being deleted"));

      await server.createNamespace('ruled');
      const policies = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic';
      const rule = {
        apiGroups: ['coordination.k8s.io'],
        apiVersions: ['v1'],
        resources: ['leases'],
        operations: ['*'],
      };
      const inRuled = { matchLabels: { 'kubernetes.io/metadata.name': 'ruled' } };
      await client.demand('POST', `${policies}ies`, {
        body: {
          metadata: { name: 'no-leases' },
          spec: {
            matchConstraints: { resourceRules: [rule], namespaceSelector: inRuled },
            validations: [{ expression: 'false', message: 'do-not-tell', reason: 'Forbidden' }],
          },
        },
      });
      await client.demand('POST', `${policies}ybindings`, {
        body: {
          metadata: { name: 'everywhere' },
          spec: { policyName: 'no-leases', validationActions: ['Deny'] },
        },
      });
      // The server enforces a policy a moment after it was created.
      let refused: unknown;
      for (let attempt = 1; refused === undefined; attempt += 1) {
        const lock = lockFor(`attempt-${String(attempt)}`, 'admin', 'ruled');
        refused = await lock.create(record, call()).then(
          () => undefined,
          (error: unknown) => error,
        );
      }
      expect(refused).toMatchObject(says("The admission policy 'no-leases' denied"));
      expect((refused as Error).message).not.toContain('do-not-tell');

      const anonymous = new KubernetesConnection({ server: server.url, certificateAuthority: server.ca });
      const unknown = new KubernetesLeaseLock(anonymous, { name: 'one', namespace: 'ours', labels: {} });
      await expect(unknown.get(call())).rejects.toMatchObject(says('it received no credentials'));
    });

    it('names a missing namespace, and credentials that are refused', async () => {
      await expect(lockFor('one', 'admin', 'nowhere').create(record, call())).rejects.toMatchObject({
        code: 'LEADER_NAMESPACE_NOT_FOUND',
      });
      await expect(lockFor('one', 'stranger').get(call())).rejects.toMatchObject({
        code: 'LEADER_UNAUTHORIZED',
      });
    });

    it('names an invalid write', async () => {
      const invalid = { ...record, leaseDurationSeconds: 0 };
      await expect(lockFor('one-more', 'admin').create(invalid, call())).rejects.toMatchObject({
        code: 'LEADER_REQUEST_INVALID',
        message: expect.stringContaining('spec.leaseDurationSeconds') as string,
      });
    });
  });
}
