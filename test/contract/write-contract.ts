/** Sequential and concurrent writes: versions, races, finalizers, managers. */
import { expect, it } from 'vitest';
import type { ContractServer } from './contract-server.js';
import { unusedName } from './lease-names.js';
import { normalBody } from './normal-form.js';
import { leaseBody, prepare, preparedSpec, type Prepared } from './row.js';

function versionOf(text: string): string {
  return (JSON.parse(text) as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
}

export function describeWrites(server: () => ContractServer): void {
  const send = async (
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; text: string }> => server().api.send({ method, path, body });
  const put = (lease: Prepared, holderIdentity: string, resourceVersion = lease.version) =>
    send('PUT', lease.item, {
      metadata: { name: lease.name, resourceVersion },
      spec: { ...preparedSpec, holderIdentity },
    });

  it('carries out one of several conditional writes', async () => {
    const lease = await prepare(server(), 'contract');
    const answers = await Promise.all([1, 2, 3, 4, 5].map((each) => put(lease, String(each))));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409]);
  });

  it('carries out one of several creations', async () => {
    const lease = await prepare(server(), 'contract');
    const body = (holderIdentity: string): object => ({
      metadata: { name: lease.free },
      spec: { holderIdentity },
    });
    const answers = await Promise.all(
      [1, 2, 3, 4, 5].map((each) => send('POST', lease.collection, body(String(each)))),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409]);
    const free = unusedName();
    const puts = await Promise.all(
      [1, 2, 3, 4, 5].map((each) =>
        send('PUT', `${lease.collection}/${free}`, {
          metadata: { name: free },
          spec: { holderIdentity: String(each) },
        }),
      ),
    );
    expect(puts.map(({ status }) => status).sort()).toEqual([201, 422, 422, 422, 422]);
  });

  it('gives versions that grow over all Leases, and none for a write that changes nothing', async () => {
    const a = await prepare(server(), 'contract');
    const b = await prepare(server(), 'contract');
    expect(BigInt(b.version)).toBeGreaterThan(BigInt(a.version));
    const changed = versionOf((await put(a, 'x')).text);
    expect(BigInt(changed)).toBeGreaterThan(BigInt(b.version));
    expect(versionOf((await put(a, 'x', changed)).text)).toBe(changed);
  });

  it('gives a recreated Lease a new uid', async () => {
    const lease = await prepare(server(), 'contract');
    await send('DELETE', lease.item);
    const again = await put(lease, 'x');
    expect(again.status).toBe(201);
    expect((JSON.parse(again.text) as { metadata: { uid: string } }).metadata.uid).not.toBe(lease.uid);
  });

  it('generates a name', async () => {
    const { collection } = await prepare(server(), 'contract');
    const answer = await send('POST', collection, { metadata: { generateName: `${'a'.repeat(60)}-` } });
    expect(answer.status).toBe(201);
    expect((JSON.parse(answer.text) as { metadata: { name: string } }).metadata.name).toMatch(
      /^a{58}[a-z0-9]{5}$/,
    );
  });

  it('keeps a Lease with finalizers until the last is removed', async () => {
    const lease = await prepare(server(), 'contract', { finalizers: ['example.com/a'] });
    const deleted = await send('DELETE', lease.item);
    expect(normalBody(deleted.text)).toEqual(
      leaseBody('contract', lease.name, preparedSpec, {
        deletionTimestamp: '<time>',
        deletionGracePeriodSeconds: 0,
        finalizers: ['example.com/a'],
      }),
    );
    const again = await send('POST', lease.collection, { metadata: { name: lease.name } });
    expect(JSON.parse(again.text)).toMatchObject({ code: 409, reason: 'AlreadyExists' });
    expect((await put(lease, 'x', versionOf(deleted.text))).status).toBe(200);
    expect((await send('GET', lease.item)).status).toBe(404);
  });

  it('records the latest writer and its time', async () => {
    const lease = await prepare(server(), 'contract');
    const changed = await send('PUT', `${lease.item}?fieldManager=me`, {
      metadata: { name: lease.name, resourceVersion: lease.version },
      spec: { ...preparedSpec, holderIdentity: 'second' },
    });
    const { managedFields, creationTimestamp } = (
      JSON.parse(changed.text) as {
        metadata: { managedFields: { manager: string; time: string }[]; creationTimestamp: string };
      }
    ).metadata;
    const mine = managedFields.find(({ manager }) => manager === 'me');
    const entry = { operation: 'Update', apiVersion: 'coordination.k8s.io/v1', fieldsType: 'FieldsV1' };
    expect(mine).toMatchObject(entry);
    const times = [creationTimestamp, ...managedFields.map(({ time }) => time)];
    expect(mine?.time).toBe(times.sort().at(-1));
  });
}
