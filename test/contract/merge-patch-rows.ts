/** PATCH of the two kinds that look like what they change. */
import { patch } from './patch-request.js';
import {
  MODIFIED,
  OTHER_NAMESPACE,
  conflictBody,
  failureBody,
  invalidBody,
  leaseBody,
  noVersionBody,
  notFoundBody,
  preparedSpec,
  type Prepared,
  type Row,
} from './row.js';

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

const IMMUTABLE_UID = {
  reason: 'FieldValueInvalid',
  message: 'Invalid value: "x": field is immutable',
  field: 'metadata.uid',
};

/** A patch that makes something of the Lease that is none. */
function patchedRow(title: string, request: Row['request'], complaint: string): Row {
  const message = `Invalid value: ${complaint}`;
  const causes = [{ reason: 'FieldValueInvalid', message, field: 'patch' }];
  return {
    title,
    request,
    status: 422,
    body: () => failureBody(422, 'Invalid', ` "" is invalid: patch: ${message}`, { causes }),
  };
}

export const mergePatchRows: readonly Row[] = [
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
    ({ name }) => conflictBody(name, MODIFIED),
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
    body: ({ free }) => notFoundBody(free),
  },
  {
    title: 'merge-patch: an unknown field is warned of',
    request: () => patch('merge-patch', { spec: { foo: 1 } }),
    status: 200,
    body: ({ namespace, name }) => leaseBody(namespace, name, preparedSpec),
    headers: { warning: '299 - "unknown field \\"spec.foo\\""' },
  },
  {
    title: 'merge-patch: null',
    request: () => patch('merge-patch', 'null'),
    status: 400,
    body: () => failureBody(400, 'BadRequest', 'Invalid JSON Patch'),
  },
  {
    title: 'merge-patch: a field that comes twice is warned of',
    request: () => patch('merge-patch', '{"spec":{"holderIdentity":"a","holderIdentity":"b"}}'),
    status: 200,
    body: ({ namespace, name }) => leaseBody(namespace, name, { ...preparedSpec, holderIdentity: 'b' }),
    headers: { warning: '299 - "duplicate field \\"spec.holderIdentity\\""' },
  },
  ...mergeRows(
    'of the namespace',
    400,
    () => ({ metadata: { namespace: 'default' } }),
    () => OTHER_NAMESPACE,
  ),
  ...mergeRows(
    'of the uid',
    422,
    () => ({ metadata: { uid: 'x' } }),
    ({ name }) => invalidBody(name, IMMUTABLE_UID, IMMUTABLE_UID),
  ),
  ...mergeRows(
    'that removes the resourceVersion',
    422,
    () => ({ metadata: { resourceVersion: null } }),
    ({ name }) => noVersionBody(name),
  ),
  patchedRow(
    'merge-patch: a wrong type',
    () => patch('merge-patch', { spec: { leaseDurationSeconds: 'x' } }),
    '"{…}": json: cannot unmarshal string into Go struct field LeaseSpec.spec.leaseDurationSeconds of type int32',
  ),
  patchedRow(
    'merge-patch: an unknown field, strictly',
    ({ item }) => ({ ...patch('merge-patch', { spec: { foo: 1 } }), path: `${item}?fieldValidation=Strict` }),
    '"{…}": strict decoding error: unknown field "spec.foo"',
  ),
  patchedRow(
    'strategic-merge-patch: a wrong type',
    () => patch('strategic-merge-patch', { spec: { leaseDurationSeconds: 'x', holderIdentity: null } }),
    '"map[spec:map[holderIdentity:<nil> leaseDurationSeconds:x]]": unrecognized type: int32',
  ),
  patchedRow(
    'strategic-merge-patch: a fraction',
    () => patch('strategic-merge-patch', { spec: { leaseDurationSeconds: 1.5 } }),
    '"map[spec:map[leaseDurationSeconds:1.5]]": cannot convert float64 to int32',
  ),
  patchedRow(
    'strategic-merge-patch: a time of three digits',
    () => patch('strategic-merge-patch', { spec: { renewTime: '2026-01-01T00:00:00.123Z' } }),
    '"map[spec:map[renewTime:2026-01-01T00:00:00.123Z]]": parsing time "2026-01-01T00:00:00.123Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse ".123Z" as ".000000"',
  ),
  {
    title: 'strategic-merge-patch: bad JSON',
    request: () => patch('strategic-merge-patch', '{'),
    status: 400,
    body: () => failureBody(400, 'BadRequest', 'unexpected end of JSON input'),
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
