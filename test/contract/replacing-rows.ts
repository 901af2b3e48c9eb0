/** PUT. */
import {
  BAD_REQUEST,
  conflictBody,
  failureBody,
  leaseBody,
  noVersionBody,
  preparedSpec,
  type Prepared,
  type Row,
} from './row.js';

/** A PUT on the prepared Lease. */
function putRow(
  title: string,
  metadata: (lease: Prepared) => object,
  status: number,
  body: (lease: Prepared) => unknown,
  spec: object = { holderIdentity: 'second' },
): Row {
  return {
    title,
    request: (lease) => ({ method: 'PUT', path: lease.item, body: { metadata: metadata(lease), spec } }),
    status,
    body,
  };
}

export const replacingRows: readonly Row[] = [
  putRow(
    'PUT replaces the fields of clients and keeps those of the server',
    ({ name, version }) => ({
      name,
      resourceVersion: version,
      creationTimestamp: '2000-01-01T00:00:00Z',
      generation: 7,
      labels: { a: 'b' },
    }),
    200,
    ({ namespace, name }) => leaseBody(namespace, name, { holderIdentity: 'second' }, { labels: { a: 'b' } }),
  ),
  putRow(
    'PUT with uid and resourceVersion',
    ({ name, version, uid }) => ({ name, uid, resourceVersion: version }),
    200,
    ({ namespace, name }) => leaseBody(namespace, name, { holderIdentity: '' }),
    { holderIdentity: '' },
  ),
  putRow(
    'PUT with an old resourceVersion',
    ({ name }) => ({ name, resourceVersion: '1' }),
    409,
    ({ name }) => conflictBody(name),
  ),
  putRow(
    'PUT of an invalid Lease with a future resourceVersion is a conflict',
    ({ name }) => ({ name, resourceVersion: '99999999999999' }),
    409,
    ({ name }) => conflictBody(name),
    { leaseDurationSeconds: -1 },
  ),
  putRow(
    'PUT with an old resourceVersion that changes nothing',
    ({ name }) => ({ name, resourceVersion: '1' }),
    409,
    ({ name }) => conflictBody(name),
    preparedSpec,
  ),
  ...[{}, { resourceVersion: '' }, { resourceVersion: '0' }].map((extra) =>
    putRow(
      `PUT without a resourceVersion: ${JSON.stringify(extra)}`,
      ({ name }) => ({ name, ...extra }),
      422,
      ({ name }) => noVersionBody(name),
    ),
  ),
  putRow(
    'PUT with a resourceVersion that is not a number',
    ({ name }) => ({ name, resourceVersion: 'abc' }),
    500,
    () => failureBody(500, undefined),
  ),
  putRow(
    'PUT with another uid',
    ({ name, version }) => ({ name, resourceVersion: version, uid: 'another' }),
    409,
    ({ name }) => conflictBody(name),
  ),
  putRow(
    'PUT with another name than that of the URL',
    () => ({ name: 'b' }),
    400,
    () => BAD_REQUEST,
  ),
  putRow(
    'PUT without a name',
    () => ({}),
    400,
    () => BAD_REQUEST,
  ),
  putRow(
    'PUT with another namespace than that of the URL',
    ({ name, version }) => ({ name, namespace: 'default', resourceVersion: version }),
    400,
    () => BAD_REQUEST,
  ),
  {
    title: 'PUT of a Lease that does not exist creates it, whatever its resourceVersion',
    request: ({ collection, free }) => ({
      method: 'PUT',
      path: `${collection}/${free}`,
      body: { metadata: { name: free, resourceVersion: '12345' }, spec: { holderIdentity: 'me' } },
    }),
    status: 201,
    body: ({ namespace, free }) => leaseBody(namespace, free, { holderIdentity: 'me' }),
  },
  {
    title: 'PUT with a uid of a Lease that does not exist',
    request: ({ collection, free }) => ({
      method: 'PUT',
      path: `${collection}/${free}`,
      body: { metadata: { name: free, uid: 'gone', resourceVersion: '1' } },
    }),
    status: 409,
    body: ({ free }) => conflictBody(free),
  },
  {
    title: 'PUT into a namespace that does not exist',
    request: () => ({
      method: 'PUT',
      path: '/apis/coordination.k8s.io/v1/namespaces/nowhere/leases/a',
      body: { metadata: { name: 'a' } },
    }),
    status: 404,
    body: () => failureBody(404, 'NotFound', { name: 'nowhere', kind: 'namespaces' }),
  },
];
