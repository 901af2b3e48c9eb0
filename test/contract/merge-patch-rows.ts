/** Merge patches and strategic merge patches. */
import { patch } from './patch-request.js';
import {
  BAD_REQUEST,
  conflictBody,
  failureBody,
  invalidBody,
  leaseBody,
  noVersionBody,
  notFoundBody,
  preparedSpec,
  wrong,
  type Prepared,
  type Row,
} from './row.js';

/** A row for each of the two kinds. */
function mergeRows(
  title: string,
  status: number,
  patched: (lease: Prepared) => object,
  body: (lease: Prepared) => unknown,
): Row[] {
  return (['merge-patch', 'strategic-merge-patch'] as const).map((kind) => ({
    title: `${kind}: ${title}`,
    request: (lease) => patch(kind, patched(lease)),
    status,
    body,
  }));
}

/** A patch whose result cannot be read as a Lease. */
function patchedRow(title: string, request: Row['request']): Row {
  const body = failureBody(422, 'Invalid', { causes: [wrong('patch')] });
  return { title, request, status: 422, body: () => body };
}

export const mergePatchRows: readonly Row[] = [
  ...mergeRows(
    'changes the given fields and deletes those that are null',
    200,
    () => ({ metadata: { labels: { a: 'b' } }, spec: { holderIdentity: 'second', acquireTime: null } }),
    ({ namespace, name }) => {
      const { acquireTime: _gone, ...spec } = preparedSpec;
      return leaseBody(namespace, name, { ...spec, holderIdentity: 'second' }, { labels: { a: 'b' } });
    },
  ),
  ...mergeRows(
    'with the present resourceVersion',
    200,
    ({ version }) => ({ metadata: { resourceVersion: version }, spec: { holderIdentity: '' } }),
    ({ namespace, name }) => leaseBody(namespace, name, { ...preparedSpec, holderIdentity: '' }),
  ),
  ...mergeRows(
    'with another resourceVersion',
    409,
    () => ({ metadata: { resourceVersion: '1' }, spec: { holderIdentity: 'second' } }),
    ({ name }) => conflictBody(name),
  ),
  ...mergeRows(
    'that changes nothing',
    200,
    () => ({ spec: { holderIdentity: 'first' } }),
    ({ namespace, name }) => leaseBody(namespace, name, preparedSpec),
  ),
  ...mergeRows(
    'that makes the Lease invalid',
    422,
    () => ({ spec: { leaseDurationSeconds: 0 } }),
    ({ name }) => invalidBody(name, wrong('spec.leaseDurationSeconds')),
  ),
  ...mergeRows(
    'that changes the name',
    400,
    () => ({ metadata: { name: 'b' } }),
    () => BAD_REQUEST,
  ),
  {
    title: 'merge-patch: bad JSON',
    request: () => patch('merge-patch', '{'),
    status: 400,
    body: () => BAD_REQUEST,
  },
  {
    title: 'merge-patch: a list',
    request: () => patch('merge-patch', '[]'),
    status: 400,
    body: () => BAD_REQUEST,
  },
  {
    title: 'merge-patch: to a Lease that does not exist',
    request: ({ collection, free }) => ({ ...patch('merge-patch', {}), path: `${collection}/${free}` }),
    status: 404,
    body: ({ free }) => notFoundBody(free),
  },
  {
    title: 'merge-patch: with an unknown field, which is dropped',
    request: () => patch('merge-patch', { spec: { foo: 1 } }),
    status: 200,
    body: ({ namespace, name }) => leaseBody(namespace, name, preparedSpec),
  },
  {
    title: 'merge-patch: null',
    request: () => patch('merge-patch', 'null'),
    status: 400,
    body: () => BAD_REQUEST,
  },
  ...mergeRows(
    'that changes the namespace',
    400,
    () => ({ metadata: { namespace: 'default' } }),
    () => BAD_REQUEST,
  ),
  ...mergeRows(
    'that changes the uid',
    422,
    () => ({ metadata: { uid: 'x' } }),
    ({ name }) => invalidBody(name, wrong('metadata.uid')),
  ),
  ...mergeRows(
    'that removes the resourceVersion',
    422,
    () => ({ metadata: { resourceVersion: null } }),
    ({ name }) => noVersionBody(name),
  ),
  patchedRow('merge-patch: a wrong type', () =>
    patch('merge-patch', { spec: { leaseDurationSeconds: 'x' } }),
  ),
  patchedRow('merge-patch: an unknown field, strictly', ({ item }) => ({
    ...patch('merge-patch', { spec: { foo: 1 } }),
    path: `${item}?fieldValidation=Strict`,
  })),
  patchedRow('strategic-merge-patch: a wrong type', () =>
    patch('strategic-merge-patch', { spec: { leaseDurationSeconds: 'x', holderIdentity: null } }),
  ),
  patchedRow('strategic-merge-patch: a fraction', () =>
    patch('strategic-merge-patch', { spec: { leaseDurationSeconds: 1.5 } }),
  ),
  patchedRow('strategic-merge-patch: a time of three digits', () =>
    patch('strategic-merge-patch', { spec: { renewTime: '2026-01-01T00:00:00.123Z' } }),
  ),
  {
    title: 'strategic-merge-patch: bad JSON',
    request: () => patch('strategic-merge-patch', '{'),
    status: 400,
    body: () => BAD_REQUEST,
  },
  {
    title: 'strategic-merge-patch: adds owners and finalizers',
    request: () =>
      patch('strategic-merge-patch', {
        metadata: {
          finalizers: ['example.com/a'],
          ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'n', uid: 'u' }],
        },
      }),
    status: 200,
    body: ({ namespace, name }) =>
      leaseBody(namespace, name, preparedSpec, {
        ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'n', uid: 'u' }],
        finalizers: ['example.com/a'],
      }),
  },
];
