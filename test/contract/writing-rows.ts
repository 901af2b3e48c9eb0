/** POST, GET, PUT and DELETE of one Lease. */
import { aboutLease, failureBody, leaseBody, preparedSpec, type Prepared, type Row } from './row.js';

const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

function conflictBody(name: string, detail: string): object {
  const message = `Operation cannot be fulfilled on leases.coordination.k8s.io "${name}": ${detail}`;
  return failureBody(409, 'Conflict', message, aboutLease(name));
}

function wrongUid(lease: Prepared, name: string, sent: string, seen: string): object {
  const key = `/registry/leases/${lease.namespace}/${name}`;
  const why = `Precondition failed: UID in precondition: ${sent}, UID in object meta: ${seen}`;
  return conflictBody(
    name,
    `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`,
  );
}

function notFoundBody(name: string): object {
  return failureBody(404, 'NotFound', `leases.coordination.k8s.io "${name}" not found`, aboutLease(name));
}

const creating: readonly Row[] = [
  {
    title: 'POST makes a Lease and sets what is the server’s to set',
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
    body: () =>
      failureBody(404, 'NotFound', 'namespaces "nowhere" not found', { name: 'nowhere', kind: 'namespaces' }),
  },
  {
    title: 'POST of a name that exists',
    request: ({ collection, name }) => ({ method: 'POST', path: collection, body: { metadata: { name } } }),
    status: 409,
    body: ({ name }) =>
      failureBody(
        409,
        'AlreadyExists',
        `leases.coordination.k8s.io "${name}" already exists`,
        aboutLease(name),
      ),
  },
  {
    title: 'POST for another namespace than its URL',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free, namespace: 'default' } },
    }),
    status: 400,
    body: () =>
      failureBody(
        400,
        'BadRequest',
        'the namespace of the provided object does not match the namespace sent on the request',
      ),
  },
  {
    title: 'POST with a resourceVersion',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free, resourceVersion: '1' } },
    }),
    status: 500,
    body: () => failureBody(500, undefined, 'resourceVersion should not be set on objects to be created'),
  },
  {
    title: 'POST with the resourceVersion 0, which is none',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free, resourceVersion: '0' } },
    }),
    status: 201,
    body: ({ namespace, free }) => leaseBody(namespace, free, {}),
  },
  {
    title: 'POST with dryRun answers and keeps nothing',
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

/** What clients send that is odd, and taken. */
const oddities: readonly Row[] = [
  {
    title: 'POST of an owner twice',
    request: ({ collection, free }) => {
      const owner = { apiVersion: 'v1', kind: 'Pod', name: 'n', uid: 'u' };
      return {
        method: 'POST',
        path: collection,
        body: { metadata: { name: free, ownerReferences: [owner, owner] } },
      };
    },
    status: 201,
    body: ({ namespace, free }) =>
      leaseBody(
        namespace,
        free,
        {},
        {
          ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'n', uid: 'u' }],
        },
      ),
    headers: {
      warning:
        '299 - ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: u"',
    },
  },
  {
    title: 'POST of a name and a stem for one',
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
  {
    title: 'POST of a label twice and of one that is null',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: `{"metadata":{"name":"${free}","labels":{"b":null,"a":"1","a":"2"}}}`,
    }),
    status: 201,
    body: ({ namespace, free }) => leaseBody(namespace, free, {}, { labels: { a: '2', b: '' } }),
    headers: { warning: '299 - "duplicate field \\"metadata.labels.a\\""' },
  },
  {
    title: 'POST of more than etcd takes',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free }, spec: { holderIdentity: 'a'.repeat(1_600_000) } },
    }),
    status: 500,
    body: () => failureBody(500, undefined, 'etcdserver: request is too large'),
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

const replacing: readonly Row[] = [
  putRow(
    'PUT replaces what clients may change and restores the rest',
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
    ({ name }) => conflictBody(name, MODIFIED),
  ),
  putRow(
    'PUT with a future resourceVersion, invalid besides',
    ({ name }) => ({ name, resourceVersion: '99999999' }),
    409,
    ({ name }) => conflictBody(name, MODIFIED),
    { leaseDurationSeconds: -1 },
  ),
  putRow(
    'PUT with an old resourceVersion that changes nothing',
    ({ name }) => ({ name, resourceVersion: '1' }),
    409,
    ({ name }) => conflictBody(name, MODIFIED),
    preparedSpec,
  ),
  ...[{}, { resourceVersion: '' }, { resourceVersion: '0' }].map((extra) =>
    putRow(
      `PUT without a resourceVersion: ${JSON.stringify(extra)}`,
      ({ name }) => ({ name, ...extra }),
      422,
      ({ name }) =>
        failureBody(
          422,
          'Invalid',
          `leases.coordination.k8s.io "${name}" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update`,
          {
            ...aboutLease(name),
            causes: [
              {
                reason: 'FieldValueInvalid',
                message: 'Invalid value: 0: must be specified for an update',
                field: 'metadata.resourceVersion',
              },
            ],
          },
        ),
    ),
  ),
  putRow(
    'PUT with a resourceVersion that is no number',
    ({ name }) => ({ name, resourceVersion: 'abc' }),
    500,
    () => failureBody(500, undefined, 'strconv.ParseUint: parsing "abc": invalid syntax'),
  ),
  putRow(
    'PUT with another uid',
    ({ name, version }) => ({ name, resourceVersion: version, uid: 'another' }),
    409,
    (lease) => wrongUid(lease, lease.name, 'another', lease.uid),
  ),
  putRow(
    'PUT of another name than its URL',
    () => ({ name: 'b' }),
    400,
    ({ name }) =>
      failureBody(
        400,
        'BadRequest',
        `the name of the object (b) does not match the name on the URL (${name})`,
      ),
  ),
  putRow(
    'PUT of no name',
    () => ({}),
    400,
    ({ name }) =>
      failureBody(
        400,
        'BadRequest',
        `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
      ),
  ),
  putRow(
    'PUT for another namespace than its URL',
    ({ name, version }) => ({ name, namespace: 'default', resourceVersion: version }),
    400,
    () =>
      failureBody(
        400,
        'BadRequest',
        'the namespace of the provided object does not match the namespace sent on the request',
      ),
  ),
  {
    title: 'PUT of a Lease that does not exist makes it, whatever its resourceVersion',
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
    body: (lease) => wrongUid(lease, lease.free, 'gone', ''),
  },
  {
    title: 'PUT into a namespace that does not exist',
    request: () => ({
      method: 'PUT',
      path: '/apis/coordination.k8s.io/v1/namespaces/nowhere/leases/a',
      body: { metadata: { name: 'a' } },
    }),
    status: 404,
    body: () =>
      failureBody(404, 'NotFound', 'namespaces "nowhere" not found', { name: 'nowhere', kind: 'namespaces' }),
  },
];

function preconditionBody(name: string, what: string): object {
  const message = `Operation cannot be fulfilled on Lease.coordination.k8s.io "${name}": ${what}`;
  return failureBody(409, 'Conflict', message, { name, group: 'coordination.k8s.io', kind: 'Lease' });
}

const deleting: readonly Row[] = [
  {
    title: 'DELETE',
    request: () => ({ method: 'DELETE' }),
    status: 200,
    body: ({ name }) => ({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { ...aboutLease(name), uid: '<uid>' },
    }),
  },
  {
    title: 'DELETE of a Lease that does not exist',
    request: ({ collection, free }) => ({ method: 'DELETE', path: `${collection}/${free}` }),
    status: 404,
    body: ({ free }) => notFoundBody(free),
  },
  {
    title: 'DELETE with preconditions that hold',
    request: ({ uid, version }) => ({
      method: 'DELETE',
      body: { preconditions: { uid, resourceVersion: version } },
    }),
    status: 200,
    body: ({ name }) => ({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { ...aboutLease(name), uid: '<uid>' },
    }),
  },
  {
    title: 'DELETE of another uid',
    request: () => ({ method: 'DELETE', body: { preconditions: { uid: 'another' } } }),
    status: 409,
    body: ({ name, uid }) =>
      preconditionBody(
        name,
        `the UID in the precondition (another) does not match the UID in record (${uid}). The object might have been deleted and then recreated`,
      ),
  },
  {
    title: 'DELETE of another resourceVersion',
    request: () => ({ method: 'DELETE', body: { preconditions: { resourceVersion: '1' } } }),
    status: 409,
    body: ({ name, version }) =>
      preconditionBody(
        name,
        `the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (${version}). The object might have been modified`,
      ),
  },
  ...(
    [
      ['{', "couldn't get version/kind; json parse error: unexpected end of JSON input"],
      [
        '{"preconditions":1}',
        'json: cannot unmarshal number into Go struct field DeleteOptions.preconditions of type v1.Preconditions',
      ],
    ] as const
  ).map(([text, message]): Row => ({
    title: `DELETE with ${text} is refused, whether there is a Lease or not`,
    request: ({ collection, free }) => ({ method: 'DELETE', path: `${collection}/${free}`, body: text }),
    status: 400,
    body: () => failureBody(400, 'BadRequest', message),
  })),
  {
    title: 'DELETE of an unknown propagation',
    request: () => ({ method: 'DELETE', body: { propagationPolicy: 'Sideways' } }),
    status: 422,
    body: () => {
      const message =
        'Unsupported value: "Sideways": supported values: "Foreground", "Background", "Orphan", "nil"';
      const all = `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: ${message}`;
      const causes = [{ reason: 'FieldValueNotSupported', message, field: 'propagationPolicy' }];
      return failureBody(422, 'Invalid', all, { group: 'meta.k8s.io', kind: 'DeleteOptions', causes });
    },
  },
  {
    title: 'DELETE by query, for show',
    request: ({ item }) => ({ method: 'DELETE', path: `${item}?propagationPolicy=Orphan&dryRun=All` }),
    status: 200,
    body: ({ namespace, name }) =>
      leaseBody(namespace, name, preparedSpec, {
        deletionTimestamp: '<time>',
        deletionGracePeriodSeconds: 0,
        finalizers: ['orphan'],
      }),
  },
  {
    title: 'DELETE in the foreground keeps the Lease until somebody removes the finalizer',
    request: () => ({ method: 'DELETE', body: { propagationPolicy: 'Foreground' } }),
    status: 200,
    body: ({ namespace, name }) =>
      leaseBody(namespace, name, preparedSpec, {
        deletionTimestamp: '<time>',
        deletionGracePeriodSeconds: 0,
        finalizers: ['foregroundDeletion'],
      }),
  },
];

export const writingRows: readonly Row[] = [...creating, ...oddities, ...reading, ...replacing, ...deleting];
