/** PATCH, of the three kinds both servers understand. */
import type { ApiRequest } from './api-connection.js';
import {
  aboutLease,
  failureBody,
  invalidBody,
  leaseBody,
  preparedSpec,
  type Prepared,
  type Row,
} from './row.js';

type Kind = 'merge-patch' | 'strategic-merge-patch' | 'json-patch';

function patch(kind: Kind, body: unknown): Partial<ApiRequest> {
  return { method: 'PATCH', body, headers: { 'content-type': `application/${kind}+json` } };
}

const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

/** The same patch in the two kinds that look alike. */
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

const merges: readonly Row[] = [
  ...mergeRows(
    'changes what it names and deletes what it says is null',
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
    ({ name }) =>
      failureBody(
        409,
        'Conflict',
        `Operation cannot be fulfilled on leases.coordination.k8s.io "${name}": ${MODIFIED}`,
        aboutLease(name),
      ),
  ),
  ...mergeRows(
    'that changes nothing',
    200,
    () => ({ spec: { holderIdentity: 'first' } }),
    ({ namespace, name }) => leaseBody(namespace, name, preparedSpec),
  ),
  ...mergeRows(
    'that makes it invalid',
    422,
    () => ({ spec: { leaseDurationSeconds: 0 } }),
    ({ name }) =>
      invalidBody(name, {
        reason: 'FieldValueInvalid',
        message: 'Invalid value: 0: must be greater than 0',
        field: 'spec.leaseDurationSeconds',
      }),
  ),
  ...mergeRows(
    'of the name',
    400,
    () => ({ metadata: { name: 'b' } }),
    ({ name }) =>
      failureBody(
        400,
        'BadRequest',
        `the name of the object (b) does not match the name on the URL (${name})`,
      ),
  ),
  {
    title: 'merge-patch: bad JSON',
    request: () => patch('merge-patch', '{'),
    status: 400,
    body: () => failureBody(400, 'BadRequest', 'error decoding patch: unexpected end of JSON input'),
  },
  {
    title: 'merge-patch: a list',
    request: () => patch('merge-patch', '[]'),
    status: 400,
    body: () =>
      failureBody(
        400,
        'BadRequest',
        'error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}',
      ),
  },
  {
    title: 'merge-patch: of a Lease that does not exist',
    request: ({ collection, free }) => ({ ...patch('merge-patch', {}), path: `${collection}/${free}` }),
    status: 404,
    body: ({ free }) =>
      failureBody(404, 'NotFound', `leases.coordination.k8s.io "${free}" not found`, aboutLease(free)),
  },
  {
    title: 'merge-patch: an unknown field is warned of',
    request: () => patch('merge-patch', { spec: { foo: 1 } }),
    status: 200,
    body: ({ namespace, name }) => leaseBody(namespace, name, preparedSpec),
    headers: { warning: '299 - "unknown field \\"spec.foo\\""' },
  },
  {
    title: 'strategic-merge-patch: merges owners by uid and finalizers as a set',
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

const REJECTED = failureBody(
  422,
  'Invalid',
  'the server rejected our request due to an error in our request',
  {},
);

const operations: readonly Row[] = [
  {
    title: 'json-patch: test, replace, add and remove',
    request: () =>
      patch('json-patch', [
        { op: 'test', path: '/spec/holderIdentity', value: 'first' },
        { op: 'replace', path: '/spec/holderIdentity', value: 'second' },
        { op: 'add', path: '/metadata/labels', value: { 'example.com/a': 'b' } },
        { op: 'replace', path: '/metadata/labels/example.com~1a', value: 'c' },
        { op: 'remove', path: '/spec/acquireTime' },
      ]),
    status: 200,
    body: ({ namespace, name }) => {
      const { acquireTime: _gone, ...spec } = preparedSpec;
      return leaseBody(
        namespace,
        name,
        { ...spec, holderIdentity: 'second' },
        { labels: { 'example.com/a': 'c' } },
      );
    },
  },
  {
    title: 'json-patch: move and copy',
    request: () =>
      patch('json-patch', [
        { op: 'copy', from: '/spec/acquireTime', path: '/spec/renewTime' },
        { op: 'move', from: '/spec/holderIdentity', path: '/spec/preferredHolder' },
        { op: 'add', path: '/spec/strategy', value: 'OldestEmulationVersion' },
        { op: 'add', path: '/spec/holderIdentity', value: 'second' },
      ]),
    status: 200,
    body: ({ namespace, name }) =>
      leaseBody(namespace, name, {
        ...preparedSpec,
        holderIdentity: 'second',
        renewTime: preparedSpec.acquireTime,
        strategy: 'OldestEmulationVersion',
        preferredHolder: 'first',
      }),
  },
  ...[
    [{ op: 'test', path: '/spec/holderIdentity', value: 'other' }],
    [{ op: 'remove', path: '/spec/none' }],
    [{ op: 'replace', path: '/none/deep', value: 1 }],
    [{ op: 'add', path: '/none/deep', value: 1 }],
  ].map((body): Row => ({
    title: `json-patch: ${JSON.stringify(body[0])} cannot be done`,
    request: () => patch('json-patch', body),
    status: 422,
    body: () => REJECTED,
  })),
  {
    title: 'json-patch: what is not there can be replaced',
    request: () => patch('json-patch', [{ op: 'replace', path: '/spec/foo', value: 1 }]),
    status: 200,
    body: ({ namespace, name }) => leaseBody(namespace, name, preparedSpec),
    headers: { warning: '299 - "unknown field \\"spec.foo\\""' },
  },
  {
    title: 'json-patch: an object',
    request: () => patch('json-patch', '{}'),
    status: 400,
    body: () =>
      failureBody(
        400,
        'BadRequest',
        'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
      ),
  },
];

export const patchRows: readonly Row[] = [...merges, ...operations];
