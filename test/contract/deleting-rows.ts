/** DELETE of one Lease. */
import { aboutLease, failureBody, leaseBody, notFoundBody, preparedSpec, type Row } from './row.js';

function preconditionBody(name: string, what: string): object {
  const message = `Operation cannot be fulfilled on Lease.coordination.k8s.io "${name}": ${what}`;
  return failureBody(409, 'Conflict', message, { name, group: 'coordination.k8s.io', kind: 'Lease' });
}

export const deletingRows: readonly Row[] = [
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
