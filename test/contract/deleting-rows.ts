/** DELETE of one Lease. */
import { BAD_REQUEST, aboutLease, failureBody, invalidOptionsBody, notFoundBody, type Row } from './row.js';

/** 409, with the type in place of the resource. */
function preconditionBody(name: string): object {
  return failureBody(409, 'Conflict', { name, group: 'coordination.k8s.io', kind: 'Lease' });
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
    title: 'DELETE with the precondition of another uid',
    request: () => ({ method: 'DELETE', body: { preconditions: { uid: 'another' } } }),
    status: 409,
    body: ({ name }) => preconditionBody(name),
  },
  {
    title: 'DELETE with the precondition of another resourceVersion',
    request: () => ({ method: 'DELETE', body: { preconditions: { resourceVersion: '1' } } }),
    status: 409,
    body: ({ name }) => preconditionBody(name),
  },
  ...['{', '{"preconditions":1}'].map((text): Row => ({
    title: `DELETE with ${text} is refused, also if the Lease does not exist`,
    request: ({ collection, free }) => ({ method: 'DELETE', path: `${collection}/${free}`, body: text }),
    status: 400,
    body: () => BAD_REQUEST,
  })),
  {
    title: 'DELETE with an unknown propagationPolicy',
    request: () => ({ method: 'DELETE', body: { propagationPolicy: 'Sideways' } }),
    status: 422,
    body: () =>
      invalidOptionsBody('DeleteOptions', { reason: 'FieldValueNotSupported', field: 'propagationPolicy' }),
  },
];
