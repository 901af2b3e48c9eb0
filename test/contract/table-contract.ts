/** Leases as the table that `kubectl get` prints. */
import { expect, it } from 'vitest';
import type { ContractServer } from './contract-server.js';
import { normalBody, normalise } from './normal-form.js';
import { BAD_REQUEST, GROUP_PATH, leaseBody, notFoundBody, prepare, preparedSpec } from './row.js';

const NAMESPACE = 'contract-tables';
const COLLECTION = `${GROUP_PATH}/namespaces/${NAMESPACE}/leases`;

function accept(version = 'v1'): string {
  return `application/json;as=Table;v=${version};g=meta.k8s.io`;
}

/** The Accept header of kubectl. */
const KUBECTL = `${accept()},${accept('v1beta1')},application/json`;

const COLUMNS = ['Name', 'Holder', 'Age'].map((name) => ({
  name,
  type: 'string',
  format: name === 'Name' ? 'name' : '',
  description: '<description>',
  priority: 0,
}));

function table(rows: readonly object[], metadata: object = {}, columnDefinitions: unknown = COLUMNS): object {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion: '<version>', ...metadata },
    columnDefinitions,
    rows,
  };
}

function metadataOf(name: string): object {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: {
      name,
      namespace: NAMESPACE,
      uid: '<uid>',
      resourceVersion: '<version>',
      creationTimestamp: '<time>',
    },
  };
}

function row(name: string, holder: string, object: object | null = metadataOf(name)): object {
  return { cells: [name, holder, '<age>'], object };
}

export function describeTables(server: () => ContractServer): void {
  const send = async (
    path: string,
    header = accept(),
    method = 'GET',
    body?: unknown,
  ): Promise<{ status: number; body: unknown }> => {
    const answer = await server().api.send({ method, path, headers: { accept: header }, body });
    return { status: answer.status, body: normalBody(answer.text) };
  };

  it.each([
    accept(),
    KUBECTL,
    `text/html, ${accept()};q=0.9`,
    'application/json; as=Table; g=meta.k8s.io; v=v1',
  ])('has one row for one Lease: %s', async (header) => {
    const { item, name } = await prepare(server(), NAMESPACE);
    expect(await send(item, header)).toEqual({ status: 200, body: table([row(name, 'first')]) });
  });

  it.each([
    `${accept('v2')},application/json`,
    'application/json;as=Table;v=v1;g=other.k8s.io,application/json',
    `application/json,${accept()}`,
  ])('is plain JSON if the form is unknown or JSON comes first: %s', async (header) => {
    const { item, name } = await prepare(server(), NAMESPACE);
    expect(await send(item, header)).toEqual({ status: 200, body: leaseBody(NAMESPACE, name, preparedSpec) });
  });

  it('is refused in an unknown version', async () => {
    const { item } = await prepare(server(), NAMESPACE);
    expect(await send(item, accept('v2'))).toMatchObject({ status: 406, body: { reason: 'NotAcceptable' } });
  });

  it.each(['', '&includeObject=Metadata', '&includeObject=None', '&includeObject=Object'])(
    'has the object that includeObject asks for, in a list and for one Lease: %s',
    async (query) => {
      const { item, collection, name } = await prepare(server(), NAMESPACE);
      const beside = query.endsWith('None')
        ? null
        : query.endsWith('Object')
          ? leaseBody(NAMESPACE, name, preparedSpec)
          : metadataOf(name);
      const expected = { status: 200, body: table([row(name, 'first', beside)]) };
      expect(await send(`${item}?${query.slice(1)}`)).toEqual(expected);
      expect(await send(`${collection}?fieldSelector=metadata.name%3D${name}${query}`)).toEqual(expected);
    },
  );

  it('is refused with an unknown includeObject', async () => {
    const { item, collection } = await prepare(server(), NAMESPACE);
    for (const path of [item, collection, `${collection}?watch=1`]) {
      const mark = path.includes('?') ? '&' : '?';
      expect(await send(`${path}${mark}includeObject=Some`)).toEqual({ status: 400, body: BAD_REQUEST });
    }
    expect((await send(`${item}?includeObject=Some`, 'application/json')).status).toBe(200);
  });

  it('may be empty', async () => {
    expect(await send(`${COLLECTION}?labelSelector=of%3Dnobody`)).toEqual({ status: 200, body: table([]) });
  });

  it('answers writes, but neither errors nor deletions', async () => {
    const { item, collection, name, free } = await prepare(server(), NAMESPACE);
    const made = await send(collection, accept(), 'POST', { metadata: { name: free } });
    expect(made).toEqual({ status: 201, body: table([row(free, '')]) });
    expect(await send(`${collection}/none`)).toEqual({ status: 404, body: notFoundBody('none') });
    expect((await send(item, accept(), 'DELETE')).body).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name },
    });
  });

  it('sends its columns once in a watch', async () => {
    const { item, collection, name } = await prepare(server(), NAMESPACE);
    const path = `${collection}?watch=1&allowWatchBookmarks=true&fieldSelector=metadata.name%3D${name}`;
    const watch = await server().api.watch(path, { accept: KUBECTL });
    const next = async (): Promise<unknown> => normalise(await watch.next(), undefined);
    expect(await next()).toEqual({ type: 'ADDED', object: table([row(name, 'first')]) });
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    const end = {
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { resourceVersion: '<version>', annotations },
    };
    expect(await next()).toEqual({
      type: 'BOOKMARK',
      object: table([{ cells: ['', '', '<unknown>'], object: end }], {}, null),
    });
    await send(item, 'application/json', 'DELETE');
    expect(await next()).toEqual({
      type: 'DELETED',
      object: table([row(name, 'first')], {}, null),
    });
    watch.close();
  });

  it('does not change the error of a watch', async () => {
    const { item, collection, version } = await prepare(server(), NAMESPACE);
    await send(item, accept(), 'DELETE');
    await server().restart();
    const watch = await server().api.watch(`${collection}?watch=1&resourceVersion=${version}`, {
      accept: accept(),
    });
    expect((await watch.rest())[0]).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410 } });
  });
}
