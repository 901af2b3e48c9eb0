/** POST and GET. */
import {
  BAD_REQUEST,
  aboutLease,
  failureBody,
  leaseBody,
  notFoundBody,
  preparedSpec,
  type Row,
} from './row.js';

const creating: readonly Row[] = [
  {
    title: 'POST creates a Lease, and the server sets its own fields',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: {
        metadata: {
          name: free,
          uid: 'mine',
          creationTimestamp: '2000-01-01T00:00:00Z',
          labels: { b: '2', a: '1' },
        },
        spec: { leaseTransitions: 0, holderIdentity: 'me' },
      },
    }),
    status: 201,
    body: ({ namespace, free }) =>
      leaseBody(
        namespace,
        free,
        { holderIdentity: 'me', leaseTransitions: 0 },
        { labels: { a: '1', b: '2' } },
      ),
    headers: { 'content-type': 'application/json', warning: undefined, 'cache-control': 'no-cache, private' },
  },
  {
    title: 'POST needs neither kind nor spec',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free } },
    }),
    status: 201,
    body: ({ namespace, free }) => leaseBody(namespace, free, {}),
  },
  {
    title: 'POST keeps annotations, owners and finalizers',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: {
        metadata: {
          name: free,
          annotations: { 'example.com/a': '<&>' },
          finalizers: ['example.com/f'],
          ownerReferences: [{ uid: 'u', name: 'n', kind: 'Pod', apiVersion: 'v1', controller: false }],
          labels: {},
        },
      },
    }),
    status: 201,
    body: ({ namespace, free }) =>
      leaseBody(
        namespace,
        free,
        {},
        {
          annotations: { 'example.com/a': '<&>' },
          ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'n', uid: 'u', controller: false }],
          finalizers: ['example.com/f'],
        },
      ),
  },
  {
    title: 'POST into a namespace that does not exist',
    request: () => ({
      method: 'POST',
      path: '/apis/coordination.k8s.io/v1/namespaces/nowhere/leases',
      body: { metadata: { name: 'a' }, spec: { leaseDurationSeconds: 0 } },
    }),
    status: 404,
    body: () => failureBody(404, 'NotFound', { name: 'nowhere', kind: 'namespaces' }),
  },
  {
    title: 'POST of a name that exists',
    request: ({ collection, name }) => ({ method: 'POST', path: collection, body: { metadata: { name } } }),
    status: 409,
    body: ({ name }) => failureBody(409, 'AlreadyExists', aboutLease(name)),
  },
  {
    title: 'POST with another namespace than that of the URL',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free, namespace: 'default' } },
    }),
    status: 400,
    body: () => BAD_REQUEST,
  },
  {
    title: 'POST with a resourceVersion',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free, resourceVersion: '1' } },
    }),
    status: 500,
    body: () => failureBody(500, undefined),
  },
  {
    title: 'POST with the resourceVersion 0, which counts as absent',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free, resourceVersion: '0' } },
    }),
    status: 201,
    body: ({ namespace, free }) => leaseBody(namespace, free, {}),
  },
  {
    title: 'POST with dryRun answers and stores nothing',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: `${collection}?dryRun=All`,
      body: { metadata: { name: free } },
    }),
    status: 201,
    body: ({ namespace, free }) => ({
      kind: 'Lease',
      apiVersion: 'coordination.k8s.io/v1',
      metadata: { name: free, namespace, uid: '<uid>', creationTimestamp: '<time>' },
      spec: {},
    }),
  },
];

const names: readonly Row[] = [
  {
    title: 'POST with both name and generateName',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free, generateName: 'stem-' } },
    }),
    status: 201,
    body: ({ namespace, free }) => ({
      kind: 'Lease',
      apiVersion: 'coordination.k8s.io/v1',
      metadata: {
        name: free,
        generateName: 'stem-',
        namespace,
        uid: '<uid>',
        resourceVersion: '<version>',
        creationTimestamp: '<time>',
      },
      spec: {},
    }),
  },
];

const reading: readonly Row[] = [
  {
    title: 'GET',
    request: () => ({}),
    status: 200,
    body: ({ namespace, name }) => leaseBody(namespace, name, preparedSpec),
    headers: { 'content-type': 'application/json' },
  },
  {
    title: 'GET of a Lease that does not exist',
    request: ({ collection, free }) => ({ path: `${collection}/${free}` }),
    status: 404,
    body: ({ free }) => notFoundBody(free),
  },
  {
    title: 'GET with watch=true is a plain GET',
    request: ({ item }) => ({ path: `${item}?watch=true` }),
    status: 200,
    body: ({ namespace, name }) => leaseBody(namespace, name, preparedSpec),
  },
];

export const creatingRows: readonly Row[] = [...creating, ...names, ...reading];
