/** Requests of users with few permissions. */
import type { ApiRequest } from './api-connection.js';
import { GROUP_PATH, aboutLease, forbiddenBody, leaseBody, preparedSpec } from './row.js';

export const COLLECTION = `${GROUP_PATH}/namespaces/contract-access/leases`;

export function refused(
  user: string,
  verb: string,
  name = '',
  where = 'in the namespace "contract-access"',
): object {
  const subject = name === '' ? 'leases.coordination.k8s.io' : `leases.coordination.k8s.io "${name}"`;
  const why = `User "${user}" cannot ${verb} resource "leases" in API group "coordination.k8s.io" ${where}`;
  const about = name === '' ? { group: 'coordination.k8s.io', kind: 'leases' } : aboutLease(name);
  return forbiddenBody(`${subject} is forbidden: ${why}`, about);
}

export interface AccessRow {
  readonly title: string;
  readonly user: string;
  readonly request: Omit<ApiRequest, 'token'>;
  readonly status: number;
  /** Compared when given. */
  readonly body?: unknown;
}

export function get(query: string): Omit<ApiRequest, 'token'> {
  return { method: 'GET', path: COLLECTION + query };
}

export function write(method: string, name: string, body: object = {}): Omit<ApiRequest, 'token'> {
  const isPatch = method === 'PATCH';
  return {
    method,
    path: method === 'POST' ? COLLECTION : `${COLLECTION}/${name}`,
    body: isPatch ? body : { metadata: { name }, ...body },
    headers: { 'content-type': isPatch ? 'application/merge-patch+json' : 'application/json' },
  };
}

const byName = (name: string): string => `?fieldSelector=metadata.name%3D${name}`;

export const accessRows: readonly AccessRow[] = [
  {
    title: 'may not read',
    user: 'nobody',
    request: get('/updated'),
    status: 403,
    body: refused('nobody', 'get', 'updated'),
  },
  {
    title: 'may not read a missing Lease',
    user: 'nobody',
    request: get('/none'),
    status: 403,
    body: refused('nobody', 'get', 'none'),
  },
  { title: 'may not list', user: 'nobody', request: get(''), status: 403, body: refused('nobody', 'list') },
  {
    title: 'may not list one Lease by name',
    user: 'nobody',
    request: get(byName('updated')),
    status: 403,
    body: refused('nobody', 'list', 'updated'),
  },
  {
    title: 'may not watch',
    user: 'nobody',
    request: get('?watch=1'),
    status: 403,
    body: refused('nobody', 'watch'),
  },
  {
    title: 'may not list across namespaces',
    user: 'reader',
    request: { method: 'GET', path: `${GROUP_PATH}/leases` },
    status: 403,
    body: refused('reader', 'list', '', 'at the cluster scope'),
  },
  {
    title: 'may read',
    user: 'reader',
    request: get('/updated'),
    status: 200,
    body: leaseBody('contract-access', 'updated', preparedSpec),
  },
  {
    title: 'may not create',
    user: 'reader',
    request: write('POST', 'new'),
    status: 403,
    body: refused('reader', 'create'),
  },
  {
    title: 'may not update',
    user: 'reader',
    request: write('PUT', 'updated'),
    status: 403,
    body: refused('reader', 'update', 'updated'),
  },
  {
    title: 'may not patch',
    user: 'reader',
    request: write('PATCH', 'updated'),
    status: 403,
    body: refused('reader', 'patch', 'updated'),
  },
  {
    title: 'may not delete',
    user: 'reader',
    request: write('DELETE', 'updated'),
    status: 403,
    body: refused('reader', 'delete', 'updated'),
  },
  {
    title: 'may not delete all',
    user: 'reader',
    request: { method: 'DELETE', path: COLLECTION },
    status: 403,
    body: refused('reader', 'deletecollection'),
  },
  {
    title: 'may not read in another namespace',
    user: 'reader',
    request: { method: 'GET', path: `${GROUP_PATH}/namespaces/contract/leases/a` },
    status: 403,
    body: refused('reader', 'get', 'a', 'in the namespace "contract"'),
  },
  {
    title: 'may read the Lease it has a permission for',
    user: 'updater',
    request: get('/updated'),
    status: 200,
  },
  {
    title: 'may not read another Lease',
    user: 'updater',
    request: get('/elected'),
    status: 403,
    body: refused('updater', 'get', 'elected'),
  },
  {
    title: 'gets a conflict for another uid',
    user: 'updater',
    request: write('PUT', 'updated', { metadata: { name: 'updated', uid: 'x' } }),
    status: 409,
  },
  {
    title: 'may not POST, because a POST names no Lease',
    user: 'elector',
    request: write('POST', 'elected'),
    status: 403,
    body: refused('elector', 'create'),
  },
  {
    title: 'may create the permitted Lease by PUT',
    user: 'elector',
    request: write('PUT', 'elected'),
    status: 201,
    body: leaseBody('contract-access', 'elected', {}),
  },
  {
    title: 'may not PUT another Lease',
    user: 'elector',
    request: write('PUT', 'other'),
    status: 403,
    body: refused('elector', 'update', 'other'),
  },
  {
    title: 'may list the permitted Lease by name',
    user: 'elector',
    request: get(byName('elected')),
    status: 200,
  },
  {
    title: 'may not list all',
    user: 'elector',
    request: get(''),
    status: 403,
    body: refused('elector', 'list'),
  },
  {
    title: 'may not list another Lease by name',
    user: 'elector',
    request: get(byName('other')),
    status: 403,
    body: refused('elector', 'list', 'other'),
  },
  {
    title: 'may not list all but the permitted Lease',
    user: 'elector',
    request: get('?fieldSelector=metadata.name!%3Delected'),
    status: 403,
    body: refused('elector', 'list'),
  },
  {
    title: 'may watch the permitted Lease by name',
    user: 'elector',
    request: get(`${byName('elected')}&watch=1&timeoutSeconds=1`),
    status: 200,
  },
  {
    title: 'may not watch another Lease by name',
    user: 'elector',
    request: get(`${byName('other')}&watch=1`),
    status: 403,
    body: refused('elector', 'watch', 'other'),
  },
];
