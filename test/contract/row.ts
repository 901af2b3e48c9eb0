/** A row of the contract: one request on one prepared Lease, and the whole answer. */
import { expect, it } from 'vitest';
import type { ApiRequest } from './api-connection.js';
import type { ContractServer, Namespace } from './contract-server.js';
import { unusedName } from './lease-names.js';
import { normalBody } from './normal-form.js';

export const GROUP_PATH = '/apis/coordination.k8s.io/v1';

/** The Lease every row begins with. */
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
    const expected = body(lease);
    expect({ status: answer.status, body: normalBody(answer.text) }).toEqual({ status, body: expected });
    // The order of names, too.
    if (typeof expected === 'object')
      expect(JSON.stringify(normalBody(answer.text))).toBe(JSON.stringify(expected));
    for (const [name, value] of Object.entries(headers)) expect(answer.headers[name], name).toEqual(value);
  });
}

/** Makes the Lease of a row. */
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

/** A Lease as it is answered. */
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

/** A failure as it is answered. */
export function failureBody(
  code: number,
  reason: string | undefined,
  message: string,
  details?: object,
): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason !== undefined && { reason }),
    ...(details !== undefined && { details }),
    code,
  };
}

/** Details of most failures about one Lease. */
export function aboutLease(name: string): object {
  return { name, group: 'coordination.k8s.io', kind: 'leases' };
}

export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/** 422 for what a Lease says. */
export function invalidBody(name: string, ...causes: readonly Cause[]): object {
  const texts = [...new Set(causes.map(({ field, message }) => `${field}: ${message}`))];
  const all = texts.length === 1 ? String(texts[0]) : `[${texts.join(', ')}]`;
  return failureBody(422, 'Invalid', `Lease.coordination.k8s.io "${name}" is invalid: ${all}`, {
    ...(name !== '' && { name }),
    group: 'coordination.k8s.io',
    kind: 'Lease',
    causes,
  });
}

/** 404 */
export function notFoundBody(name: string): object {
  const message = `leases.coordination.k8s.io "${name}" not found`;
  return failureBody(404, 'NotFound', message, aboutLease(name));
}

/** 409 */
export function conflictBody(name: string, detail: string): object {
  const message = `Operation cannot be fulfilled on leases.coordination.k8s.io "${name}": ${detail}`;
  return failureBody(409, 'Conflict', message, aboutLease(name));
}

/** What a conflict of versions says. */
export const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

/** 422 for an update that does not say what it replaces. */
export function noVersionBody(name: string): object {
  const message = 'Invalid value: 0: must be specified for an update';
  const field = 'metadata.resourceVersion';
  const told = `leases.coordination.k8s.io "${name}" is invalid: ${field}: ${message}`;
  const causes = [{ reason: 'FieldValueInvalid', message, field }];
  return failureBody(422, 'Invalid', told, { ...aboutLease(name), causes });
}

/** 400 for a body of another namespace than the URL's. */
export const OTHER_NAMESPACE = failureBody(
  400,
  'BadRequest',
  'the namespace of the provided object does not match the namespace sent on the request',
);
