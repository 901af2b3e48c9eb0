/** Who is let in, and what a Role may allow. */
import { beforeAll, expect, it } from 'vitest';
import type { ApiRequest } from './api-connection.js';
import type { ContractServer } from './contract-server.js';
import { normalBody } from './normal-form.js';
import { GROUP_PATH, aboutLease, failureBody, leaseBody, preparedSpec } from './row.js';

const COLLECTION = `${GROUP_PATH}/namespaces/contract-access/leases`;

function refused(
  user: string,
  verb: string,
  name = '',
  where = 'in the namespace "contract-access"',
): object {
  const subject = name === '' ? 'leases.coordination.k8s.io' : `leases.coordination.k8s.io "${name}"`;
  const why = `User "${user}" cannot ${verb} resource "leases" in API group "coordination.k8s.io" ${where}`;
  const about = name === '' ? { group: 'coordination.k8s.io', kind: 'leases' } : aboutLease(name);
  return failureBody(403, 'Forbidden', `${subject} is forbidden: ${why}`, about);
}

interface AccessRow {
  readonly title: string;
  readonly user: string;
  readonly request: Omit<ApiRequest, 'token'>;
  readonly status: number;
  /** Compared when given. */
  readonly body?: unknown;
}

function get(query: string): Omit<ApiRequest, 'token'> {
  return { method: 'GET', path: COLLECTION + query };
}

function write(method: string, name: string, body: object = {}): Omit<ApiRequest, 'token'> {
  const isPatch = method === 'PATCH';
  return {
    method,
    path: method === 'POST' ? COLLECTION : `${COLLECTION}/${name}`,
    body: isPatch ? body : { metadata: { name }, ...body },
    headers: { 'content-type': isPatch ? 'application/merge-patch+json' : 'application/json' },
  };
}

const byName = (name: string): string => `?fieldSelector=metadata.name%3D${name}`;

const rows: readonly AccessRow[] = [
  {
    title: 'may not read',
    user: 'nobody',
    request: get('/updated'),
    status: 403,
    body: refused('nobody', 'get', 'updated'),
  },
  {
    title: 'may not read what does not exist',
    user: 'nobody',
    request: get('/none'),
    status: 403,
    body: refused('nobody', 'get', 'none'),
  },
  { title: 'may not list', user: 'nobody', request: get(''), status: 403, body: refused('nobody', 'list') },
  {
    title: 'may not list one',
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
    title: 'may not read elsewhere',
    user: 'reader',
    request: { method: 'GET', path: `${GROUP_PATH}/namespaces/contract/leases/a` },
    status: 403,
    body: refused('reader', 'get', 'a', 'in the namespace "contract"'),
  },
  { title: 'may read its own', user: 'updater', request: get('/updated'), status: 200 },
  {
    title: 'may not read another',
    user: 'updater',
    request: get('/elected'),
    status: 403,
    body: refused('updater', 'get', 'elected'),
  },
  {
    title: 'may not create by updating',
    user: 'updater',
    request: write('PUT', 'updated', { metadata: { name: 'updated', uid: 'x' } }),
    status: 409,
  },
  {
    title: 'may not POST even its own',
    user: 'elector',
    request: write('POST', 'elected'),
    status: 403,
    body: refused('elector', 'create'),
  },
  {
    title: 'may create its own by PUT',
    user: 'elector',
    request: write('PUT', 'elected'),
    status: 201,
    body: leaseBody('contract-access', 'elected', {}),
  },
  {
    title: 'may not PUT another',
    user: 'elector',
    request: write('PUT', 'other'),
    status: 403,
    body: refused('elector', 'update', 'other'),
  },
  { title: 'may list its own', user: 'elector', request: get(byName('elected')), status: 200 },
  {
    title: 'may not list all',
    user: 'elector',
    request: get(''),
    status: 403,
    body: refused('elector', 'list'),
  },
  {
    title: 'may not list another',
    user: 'elector',
    request: get(byName('other')),
    status: 403,
    body: refused('elector', 'list', 'other'),
  },
  {
    title: 'may not list all but its own',
    user: 'elector',
    request: get('?fieldSelector=metadata.name!%3Delected'),
    status: 403,
    body: refused('elector', 'list'),
  },
  {
    title: 'may watch its own',
    user: 'elector',
    request: get(`${byName('elected')}&watch=1&timeoutSeconds=1`),
    status: 200,
  },
  {
    title: 'may not watch another',
    user: 'elector',
    request: get(`${byName('other')}&watch=1`),
    status: 403,
    body: refused('elector', 'watch', 'other'),
  },
];

const UNAUTHORIZED = failureBody(401, 'Unauthorized', 'Unauthorized');
const ANONYMOUS = refused('system:anonymous', 'get', 'updated');

const strangers: readonly [title: string, headers: Record<string, string>, status: number, body: object][] = [
  ['a token nobody has', { authorization: 'Bearer wrong' }, 401, UNAUTHORIZED],
  ['no token', {}, 403, ANONYMOUS],
  ['an empty token', { authorization: 'Bearer ' }, 403, ANONYMOUS],
  ['a password', { authorization: 'Basic YTpi' }, 403, ANONYMOUS],
];

interface Review {
  readonly spec: object;
  readonly status: { readonly allowed: boolean; readonly reason?: string };
}

const reviews: readonly [user: string, verb: string, name: string | undefined, isAllowed: boolean][] = [
  ['nobody', 'get', 'elected', false],
  ['elector', 'get', 'elected', true],
  ['elector', 'get', 'other', false],
  ['elector', 'create', undefined, false],
  ['elector', 'create', 'elected', true],
  ['elector', 'watch', 'elected', true],
  ['elector', 'watch', undefined, false],
  ['reader', 'watch', undefined, true],
  ['admin', 'delete', undefined, true],
];

export function describeAccess(server: () => ContractServer): void {
  beforeAll(async () => {
    const body = { metadata: { name: 'updated' }, spec: preparedSpec };
    expect((await server().api.send({ method: 'POST', path: COLLECTION, body })).status).toBe(201);
  });

  it.each(rows)('$user $title', async ({ user, request, status, body }) => {
    const answer = await server().api.send({ ...request, token: `${user}-token` });
    expect(answer.status, answer.text).toBe(status);
    if (body !== undefined) expect(JSON.stringify(normalBody(answer.text))).toBe(JSON.stringify(body));
  });

  it('updater may not create by PUT what somebody deleted', async () => {
    await server().api.send({ method: 'DELETE', path: `${COLLECTION}/updated` });
    const answer = await server().api.send({ ...write('PUT', 'updated'), token: 'updater-token' });
    expect({ status: answer.status, body: normalBody(answer.text) }).toEqual({
      status: 403,
      body: refused('updater', 'create', 'updated'),
    });
  });

  it.each(strangers)('is not open to %s', async (_title, headers, status, body) => {
    const answer = await server().api.send({ ...get('/updated'), token: '', headers });
    expect({ status: answer.status, body: normalBody(answer.text) }).toEqual({ status, body });
    expect(answer.headers['www-authenticate']).toBeUndefined();
  });

  it.each(['/readyz', '/version'])('tells %s to anybody', async (path) => {
    expect((await server().api.send({ method: 'GET', path, token: '' })).status).toBe(200);
  });

  it.each(reviews)('tells %s whether it may %s %s: %s', async (user, verb, name, isAllowed) => {
    const resourceAttributes = {
      namespace: 'contract-access',
      verb,
      group: 'coordination.k8s.io',
      resource: 'leases',
      name,
    };
    const answer = await server().api.send({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      body: { spec: { resourceAttributes } },
      token: `${user}-token`,
    });
    expect(answer.status).toBe(201);
    const { spec, status } = JSON.parse(answer.text) as Review;
    expect({ spec, allowed: status.allowed }).toEqual({
      spec: JSON.parse(JSON.stringify({ resourceAttributes })) as object,
      allowed: isAllowed,
    });
  });

  it.each<[token: string, status: number, body: object]>([
    [
      '',
      403,
      failureBody(
        403,
        'Forbidden',
        'selfsubjectaccessreviews.authorization.k8s.io is forbidden: User "system:anonymous" cannot create resource "selfsubjectaccessreviews" in API group "authorization.k8s.io" at the cluster scope',
        { group: 'authorization.k8s.io', kind: 'selfsubjectaccessreviews' },
      ),
    ],
    [
      'reader-token',
      422,
      failureBody(
        422,
        'Invalid',
        '.authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
        {
          group: 'authorization.k8s.io',
          causes: [
            {
              reason: 'FieldValueInvalid',
              message:
                'Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
              field: 'spec.resourceAttributes',
            },
          ],
        },
      ),
    ],
  ])('answers no empty question: %s', async (token, status, body) => {
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    const answer = await server().api.send({ method: 'POST', path, body: { spec: {} }, token });
    expect({ status: answer.status, body: normalBody(answer.text) }).toEqual({ status, body });
  });

  it('does not tell a user of resources it has nothing to do with', async () => {
    const path = `${GROUP_PATH}/namespaces/contract-access/leashes`;
    const answer = await server().api.send({ method: 'GET', path, token: 'reader-token' });
    const why =
      'User "reader" cannot list resource "leashes" in API group "coordination.k8s.io" in the namespace "contract-access"';
    expect({ status: answer.status, body: normalBody(answer.text) }).toEqual({
      status: 403,
      body: failureBody(403, 'Forbidden', `leashes.coordination.k8s.io is forbidden: ${why}`, {
        group: 'coordination.k8s.io',
        kind: 'leashes',
      }),
    });
  });

  it('tells a user who it is', async () => {
    const answer = await server().api.send({
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      body: {},
      token: 'reader-token',
    });
    expect(answer.status).toBe(201);
    expect(JSON.parse(answer.text)).toMatchObject({
      kind: 'SelfSubjectReview',
      status: { userInfo: { username: 'reader' } },
    });
  });
}
