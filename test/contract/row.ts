/** A row of the contract: one request on one prepared Lease, and the expected answer. */
import { expect, it } from 'vitest';
import type { ApiRequest } from './api-connection.js';
import type { ContractServer, Namespace } from './contract-server.js';
import { unusedName } from './lease-names.js';
import { normalBody, type Cause } from './normal-form.js';

export const GROUP_PATH = '/apis/coordination.k8s.io/v1';

/** The spec of the Lease that every row begins with. */
export const preparedSpec = {
  holderIdentity: 'first',
  leaseDurationSeconds: 15,
  acquireTime: '2026-01-01T00:00:00.000001Z',
  renewTime: '2026-01-01T00:00:10.000002Z',
  leaseTransitions: 3,
};

export interface Prepared {
  readonly namespace: string;
  /** Of the prepared Lease. */
  readonly name: string;
  readonly uid: string;
  readonly version: string;
  /** Of a Lease that does not exist. */
  readonly free: string;
  readonly collection: string;
  /** The path of the prepared Lease. */
  readonly item: string;
}

export interface Row {
  readonly title: string;
  readonly request: (lease: Prepared) => Partial<ApiRequest>;
  readonly status: number;
  /** In normal form. */
  readonly body: (lease: Prepared) => unknown;
  /** Names and values of headers; undefined: absent. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

/** Runs each row on a Lease of its own. */
export function runRows(server: () => ContractServer, namespace: Namespace, rows: readonly Row[]): void {
  it.each(rows)('$title', async ({ request, status, body, headers = {} }) => {
    const lease = await prepare(server(), namespace);
    const answer = await server().api.send({ method: 'GET', path: lease.item, ...request(lease) });
    expect({ status: answer.status, body: normalBody(answer.text) }).toEqual({ status, body: body(lease) });
    for (const [name, value] of Object.entries(headers)) expect(answer.headers[name], name).toEqual(value);
  });
}

/** Creates the Lease of a row. */
export async function prepare(
  server: ContractServer,
  namespace: Namespace,
  metadata: object = {},
): Promise<Prepared> {
  const name = unusedName();
  const collection = `${GROUP_PATH}/namespaces/${namespace}/leases`;
  const answer = await server.api.send({
    method: 'POST',
    path: collection,
    body: { metadata: { name, ...metadata }, spec: preparedSpec },
  });
  expect(answer.status, answer.text).toBe(201);
  const made = (JSON.parse(answer.text) as { metadata: { uid: string; resourceVersion: string } }).metadata;
  return {
    namespace,
    name,
    uid: made.uid,
    version: made.resourceVersion,
    free: unusedName(),
    collection,
    item: `${collection}/${name}`,
  };
}

/** A Lease in an answer, in normal form. */
export function leaseBody(namespace: string, name: string, spec: object, metadata: object = {}): object {
  return {
    kind: 'Lease',
    apiVersion: 'coordination.k8s.io/v1',
    metadata: {
      name,
      namespace,
      uid: '<uid>',
      resourceVersion: '<version>',
      creationTimestamp: '<time>',
      ...metadata,
    },
    spec,
  };
}

/** A failure in an answer, in normal form. */
export function failureBody(code: number, reason: string | undefined, details?: object): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    ...(reason !== undefined && { reason }),
    ...(details !== undefined && { details }),
    code,
  };
}

/** 403, with the message in which clients read which permission is missing. */
export function forbiddenBody(message: string, details: object): object {
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' };
  return { ...status, message, reason: 'Forbidden', details, code: 403 };
}

/** The details of most failures about one Lease. */
export function aboutLease(name: string): object {
  return { name, group: 'coordination.k8s.io', kind: 'leases' };
}

/** The cause for a value that breaks a rule. */
export function wrong(field: string): Cause {
  return { reason: 'FieldValueInvalid', field };
}

/** 422 for the fields of a Lease. */
export function invalidBody(name: string, ...causes: readonly Cause[]): object {
  const details = { ...(name !== '' && { name }), group: 'coordination.k8s.io', kind: 'Lease', causes };
  return failureBody(422, 'Invalid', details);
}

/** 422 for the options in the query. */
export function invalidOptionsBody(kind: string, ...causes: readonly Cause[]): object {
  return failureBody(422, 'Invalid', { group: 'meta.k8s.io', kind, causes });
}

/** 400 */
export const BAD_REQUEST = failureBody(400, 'BadRequest');

/** 404 */
export function notFoundBody(name: string): object {
  return failureBody(404, 'NotFound', aboutLease(name));
}

/** 409 */
export function conflictBody(name: string): object {
  return failureBody(409, 'Conflict', aboutLease(name));
}

/** 422 for an update without a resourceVersion. */
export function noVersionBody(name: string): object {
  return failureBody(422, 'Invalid', { ...aboutLease(name), causes: [wrong('metadata.resourceVersion')] });
}
