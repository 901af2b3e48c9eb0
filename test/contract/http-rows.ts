/** Methods, paths and media types. */
import { failureBody, leaseBody, preparedSpec, type Row } from './row.js';

const NOT_ALLOWED = failureBody(405, 'MethodNotAllowed', {});
const NO_RESOURCE = failureBody(404, 'NotFound', {});
const UNKNOWN_FORMAT = failureBody(415, 'UnsupportedMediaType');

const paths: readonly Row[] = [
  {
    title: 'POST on one Lease',
    request: ({ item }) => ({ method: 'POST', path: item, body: {} }),
    status: 405,
    body: () => NOT_ALLOWED,
  },
  {
    title: 'PUT on the collection',
    request: ({ collection }) => ({ method: 'PUT', path: collection, body: {} }),
    status: 405,
    body: () => NOT_ALLOWED,
  },
  {
    title: 'POST across namespaces',
    request: () => ({ method: 'POST', path: '/apis/coordination.k8s.io/v1/leases', body: {} }),
    status: 405,
    body: () => NOT_ALLOWED,
  },
  {
    title: 'HEAD on one Lease',
    request: ({ item }) => ({ method: 'HEAD', path: item }),
    status: 405,
    body: () => '',
  },
  {
    title: 'a resource that does not exist',
    request: ({ namespace }) => ({ path: `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leashes` }),
    status: 404,
    body: () => NO_RESOURCE,
  },
  {
    title: 'a sub-resource that does not exist',
    request: ({ item }) => ({ path: `${item}/status` }),
    status: 404,
    body: () => NO_RESOURCE,
  },
  {
    title: 'another version of the group',
    request: ({ namespace }) => ({ path: `/apis/coordination.k8s.io/v9/namespaces/${namespace}/leases` }),
    status: 404,
    body: () => NO_RESOURCE,
  },
  {
    title: 'a path that does not exist',
    request: () => ({ path: '/nowhere' }),
    status: 404,
    body: () => '404 page not found\n',
  },
  {
    title: 'the resources of the group',
    request: () => ({ path: '/apis/coordination.k8s.io/v1' }),
    status: 200,
    body: () => ({
      kind: 'APIResourceList',
      apiVersion: 'v1',
      groupVersion: 'coordination.k8s.io/v1',
      resources: [
        {
          name: 'leases',
          singularName: 'lease',
          namespaced: true,
          kind: 'Lease',
          verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
          storageVersionHash: 'gqkMMb/YqFM=',
        },
      ],
    }),
  },
  {
    title: 'readyz',
    request: () => ({ path: '/readyz' }),
    status: 200,
    body: () => 'ok',
    headers: { 'content-type': 'text/plain; charset=utf-8' },
  },
];

const types: readonly Row[] = [
  {
    title: 'a body of text/plain',
    request: ({ collection }) => ({
      method: 'POST',
      path: collection,
      body: '{}',
      headers: { 'content-type': 'text/plain' },
    }),
    status: 415,
    body: () => UNKNOWN_FORMAT,
  },
  {
    title: 'a body of an unknown type',
    request: ({ item }) => ({
      method: 'DELETE',
      path: item,
      body: 'k8s',
      headers: { 'content-type': 'application/vnd.example.protobuf' },
    }),
    status: 415,
    body: () => UNKNOWN_FORMAT,
  },
  {
    title: 'PATCH with a body of application/json',
    request: () => ({ method: 'PATCH', body: {} }),
    status: 415,
    body: () => failureBody(415, 'UnsupportedMediaType', {}),
  },
  {
    title: 'a body of JSON with a charset',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free } },
      headers: { 'content-type': 'application/json; charset=utf-8' },
    }),
    status: 201,
    body: ({ namespace, free }) => leaseBody(namespace, free, {}),
  },
  {
    title: 'a body without a content type is read as JSON',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free } },
      headers: { 'content-type': '' },
    }),
    status: 201,
    body: ({ namespace, free }) => leaseBody(namespace, free, {}),
  },
  {
    title: 'Accept: text/html',
    request: () => ({ headers: { accept: 'text/html' } }),
    status: 406,
    body: () => failureBody(406, 'NotAcceptable', {}),
  },
  {
    title: 'Accept: several types, JSON among them',
    request: () => ({ headers: { accept: 'text/html, application/json;q=0.9' } }),
    status: 200,
    body: ({ namespace, name }) => leaseBody(namespace, name, preparedSpec),
  },
  {
    title: 'a body of more than 3 MiB',
    request: ({ collection }) => ({ method: 'POST', path: collection, body: 'x'.repeat(3_145_729) }),
    status: 413,
    body: () => failureBody(413, 'RequestEntityTooLarge'),
  },
];

export const httpRows: readonly Row[] = [...paths, ...types];
