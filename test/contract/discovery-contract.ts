/** Discovery: what clients ask before they ask for Leases. */
import { expect, it } from 'vitest';
import type { ContractServer } from './contract-server.js';
import { normalBody } from './normal-form.js';

export function describeDiscovery(server: () => ContractServer): void {
  const get = async (path: string, token?: string): Promise<{ status: number; body: unknown }> => {
    const { status, text } = await server().api.send({
      method: 'GET',
      path,
      ...(token !== undefined && { token }),
    });
    return { status, body: normalBody(text) };
  };

  it.each(['/version', '/api', '/apis', '/apis/coordination.k8s.io', '/apis/coordination.k8s.io/v1'])(
    'answers %s with and without a slash at the end',
    async (path) => {
      const plain = await get(path);
      expect(plain.status).toBe(200);
      expect(await get(`${path}/`)).toEqual(plain);
    },
  );

  it('serves its version to every client, with all fields that clients demand', async () => {
    for (const path of ['/version', '/version/']) {
      const { status, body } = await get(path, '');
      const text = expect.any(String) as string;
      expect({ status, body }).toMatchObject({
        status: 200,
        body: {
          major: '1',
          minor: '36',
          gitVersion: 'v1.36.3',
          gitCommit: text,
          gitTreeState: text,
          buildDate: text,
          goVersion: text,
          compiler: text,
          platform: text,
        },
      });
    }
  });

  it('lists the group of Leases among its groups', async () => {
    const { body } = await get('/apis');
    expect(body).toMatchObject({ kind: 'APIGroupList', apiVersion: 'v1' });
    const v1 = { groupVersion: 'coordination.k8s.io/v1', version: 'v1' };
    const [group] = (body as { groups: { name: string }[] }).groups.filter(
      ({ name }) => name === 'coordination.k8s.io',
    );
    expect(group).toMatchObject({ versions: expect.arrayContaining([v1]) as unknown, preferredVersion: v1 });
  });

  it('declares fieldValidation in its OpenAPI, so kubectl lets the server check fields', async () => {
    const group = 'apis/coordination.k8s.io/v1';
    const read = async <T>(path: string): Promise<T> => {
      const headers = { accept: 'application/json' };
      return JSON.parse((await server().api.send({ method: 'GET', path, headers })).text) as T;
    };
    const index = await read<{ paths: Record<string, { serverRelativeURL: string }> }>('/openapi/v3');
    const { paths } = await read<{ paths: Record<string, { patch?: object }> }>(
      index.paths[group]?.serverRelativeURL ?? '/nowhere',
    );
    const gvk = { group: 'coordination.k8s.io', version: 'v1', kind: 'Lease' };
    const patch = paths[`/${group}/namespaces/{namespace}/leases/{name}`]?.patch;
    expect(patch).toMatchObject({
      'x-kubernetes-group-version-kind': gvk,
      parameters: expect.arrayContaining([
        expect.objectContaining({ name: 'fieldValidation', in: 'query' }),
      ]) as unknown,
    });
  });

  it('has resources in v1, because kubectl reports an error for an empty version', async () => {
    const { resources } = (await get('/api/v1')).body as { resources: unknown[] };
    expect(resources).not.toEqual([]);
  });
}
