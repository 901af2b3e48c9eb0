/** Lists: contents, selectors, versions, and deletion of what is selected. */
import { beforeAll, expect, it } from 'vitest';
import type { ContractServer } from './contract-server.js';
import { normalBody } from './normal-form.js';
import { BAD_REQUEST, GROUP_PATH, failureBody, invalidOptionsBody } from './row.js';

const COLLECTION = `${GROUP_PATH}/namespaces/contract-lists/leases`;

const leases = [
  { name: 'a', labels: { app: 'x', size: '1' } },
  { name: 'b', labels: { app: 'y', size: '10' } },
  { name: 'c', labels: { app: 'x' } },
  { name: 'd', labels: undefined },
];

function item({ name, labels }: (typeof leases)[number]): object {
  const metadata = {
    name,
    namespace: 'contract-lists',
    uid: '<uid>',
    resourceVersion: '<version>',
    creationTimestamp: '<time>',
  };
  return {
    metadata: { ...metadata, ...(labels !== undefined && { labels }) },
    spec: { holderIdentity: name },
  };
}

function listBody(names: string, metadata: object = {}): object {
  return {
    kind: 'LeaseList',
    apiVersion: 'coordination.k8s.io/v1',
    metadata: { resourceVersion: '<version>', ...metadata },
    items: leases.filter(({ name }) => names.includes(name)).map(item),
  };
}

const selections: readonly [query: string, names: string][] = [
  ['', 'abcd'],
  ['?resourceVersion=0', 'abcd'],
  ['?resourceVersion=1&resourceVersionMatch=NotOlderThan', 'abcd'],
  ['?fieldSelector=metadata.name%3Db', 'b'],
  ['?fieldSelector=metadata.name%3D%3Db', 'b'],
  ['?fieldSelector=metadata.name!%3Db', 'acd'],
  ['?fieldSelector=metadata.name%3Db,metadata.namespace%3Dcontract-lists', 'b'],
  ['?fieldSelector=metadata.namespace%3Ddefault', ''],
  ['?labelSelector=app', 'abc'],
  ['?labelSelector=!app', 'd'],
  ['?labelSelector=app%3Dx', 'ac'],
  ['?labelSelector=app%3D%3Dx', 'ac'],
  ['?labelSelector=app!%3Dx', 'bd'],
  ['?labelSelector=app%20in%20(x,z)', 'ac'],
  ['?labelSelector=app%20notin%20(x,z)', 'bd'],
  ['?labelSelector=app%3Dx,size', 'a'],
  ['?labelSelector=size%3E5', 'b'],
  ['?labelSelector=size%3C5', 'a'],
  ['?labelSelector=app%3D', ''],
];

const MATCH = 'resourceVersionMatch';

const refusals: readonly [query: string, status: number, body: object][] = [
  ['?fieldSelector=spec.x%3D1', 400, BAD_REQUEST],
  ['?fieldSelector=abc', 400, BAD_REQUEST],
  ['?labelSelector=a%20b', 400, BAD_REQUEST],
  ['?labelSelector=,', 400, BAD_REQUEST],
  ['?labelSelector=a%20in%20b', 400, BAD_REQUEST],
  ['?labelSelector=a,', 400, BAD_REQUEST],
  ['?labelSelector=a%3Db%20c', 400, BAD_REQUEST],
  ['?resourceVersion=abc', 400, BAD_REQUEST],
  ['?limit=1&continue=abc', 400, BAD_REQUEST],
  ['?limit=1&continue=e30', 400, BAD_REQUEST],
  ['/a?resourceVersion=abc', 500, failureBody(500, undefined)],
  ['?limit=x', 400, BAD_REQUEST],
  [
    '?resourceVersionMatch=Exact',
    422,
    invalidOptionsBody('ListOptions', { reason: 'FieldValueForbidden', field: MATCH }),
  ],
  [
    '?resourceVersionMatch=Maybe&resourceVersion=1',
    422,
    invalidOptionsBody('ListOptions', { reason: 'FieldValueNotSupported', field: MATCH }),
  ],
  [
    '?sendInitialEvents=true',
    422,
    invalidOptionsBody('ListOptions', { reason: 'FieldValueForbidden', field: 'sendInitialEvents' }),
  ],
];

export function describeLists(server: () => ContractServer): void {
  const get = async (
    query: string,
    collection = COLLECTION,
  ): Promise<{ status: number; body: unknown; text: string }> => {
    const { status, text } = await server().api.send({ method: 'GET', path: collection + query });
    return { status, body: normalBody(text), text };
  };

  beforeAll(async () => {
    for (const { name, labels } of leases.toReversed()) {
      const body = { metadata: { name, labels }, spec: { holderIdentity: name } };
      expect((await server().api.send({ method: 'POST', path: COLLECTION, body })).status).toBe(201);
    }
  });

  it.each(selections)('selects %s: %s', async (query, names) => {
    const { status, body } = await get(query);
    expect({ status, body }).toEqual({ status: 200, body: listBody(names) });
  });

  it.each(refusals)('refuses %s', async (query, status, body) => {
    const answer = await get(query);
    expect({ status: answer.status, body: answer.body }).toEqual({ status, body });
  });

  it('is empty for a namespace that does not exist', async () => {
    const { status, body } = await get('', `${GROUP_PATH}/namespaces/nowhere/leases`);
    expect({ status, body }).toEqual({ status: 200, body: listBody('') });
  });

  it('lists across namespaces', async () => {
    const { status, body } = await get('?labelSelector=app', `${GROUP_PATH}/leases`);
    expect({ status, body }).toEqual({ status: 200, body: listBody('abc') });
  });

  it('times out for a version that does not exist yet', async () => {
    const { status, body, text } = await get('?resourceVersion=99999999999999');
    const { details } = JSON.parse(text) as { details: { causes: object[] } };
    expect({ status, body }).toMatchObject({ status: 504, body: { reason: 'Timeout', code: 504 } });
    expect(details).toMatchObject({ retryAfterSeconds: 1, causes: [{ reason: 'ResourceVersionTooLarge' }] });
  });

  it('deletes the selected Leases and returns them', async () => {
    const answer = await server().api.send({ method: 'DELETE', path: `${COLLECTION}?labelSelector=app%3Dx` });
    expect({ status: answer.status, body: normalBody(answer.text) }).toEqual({
      status: 200,
      body: listBody('ac'),
    });
    expect((await get('')).body).toEqual(listBody('bd'));
  });
}
