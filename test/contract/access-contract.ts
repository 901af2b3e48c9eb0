/** Authentication, and the permissions of a Role. */
import { beforeAll, expect, it } from 'vitest';
import { COLLECTION, accessRows, get, refused, write } from './access-rows.js';
import type { ContractServer } from './contract-server.js';
import { normalBody } from './normal-form.js';
import { GROUP_PATH, failureBody, forbiddenBody, preparedSpec, wrong } from './row.js';

const UNAUTHORIZED = failureBody(401, 'Unauthorized');
const ANONYMOUS = refused('system:anonymous', 'get', 'updated');

const strangers: readonly [title: string, headers: Record<string, string>, status: number, body: object][] = [
  ['an unknown token', { authorization: 'Bearer wrong' }, 401, UNAUTHORIZED],
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

  it.each(accessRows)('$user $title', async ({ user, request, status, body }) => {
    const answer = await server().api.send({ ...request, token: `${user}-token` });
    expect(answer.status, answer.text).toBe(status);
    if (body !== undefined) expect(normalBody(answer.text)).toEqual(body);
  });

  it('updater may not recreate a deleted Lease by PUT', async () => {
    await server().api.send({ method: 'DELETE', path: `${COLLECTION}/updated` });
    const answer = await server().api.send({ ...write('PUT', 'updated'), token: 'updater-token' });
    expect({ status: answer.status, body: normalBody(answer.text) }).toEqual({
      status: 403,
      body: refused('updater', 'create', 'updated'),
    });
  });

  it.each(strangers)('refuses %s', async (_title, headers, status, body) => {
    const answer = await server().api.send({ ...get('/updated'), token: '', headers });
    expect({ status: answer.status, body: normalBody(answer.text) }).toEqual({ status, body });
    expect(answer.headers['www-authenticate']).toBeUndefined();
  });

  it.each(['/readyz', '/version'])('serves %s to every client', async (path) => {
    expect((await server().api.send({ method: 'GET', path, token: '' })).status).toBe(200);
  });

  it.each(reviews)('answers %s who asks whether it may %s %s: %s', async (user, verb, name, isAllowed) => {
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
      forbiddenBody(
        'selfsubjectaccessreviews.authorization.k8s.io is forbidden: User "system:anonymous" cannot create resource "selfsubjectaccessreviews" in API group "authorization.k8s.io" at the cluster scope',
        { group: 'authorization.k8s.io', kind: 'selfsubjectaccessreviews' },
      ),
    ],
    [
      'reader-token',
      422,
      failureBody(422, 'Invalid', {
        group: 'authorization.k8s.io',
        causes: [wrong('spec.resourceAttributes')],
      }),
    ],
  ])('refuses an access review without a question: token %j', async (token, status, body) => {
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    const answer = await server().api.send({ method: 'POST', path, body: { spec: {} }, token });
    expect({ status: answer.status, body: normalBody(answer.text) }).toEqual({ status, body });
  });

  it('answers 403, not 404, for an unknown resource without permission', async () => {
    const path = `${GROUP_PATH}/namespaces/contract-access/leashes`;
    const answer = await server().api.send({ method: 'GET', path, token: 'reader-token' });
    const why =
      'User "reader" cannot list resource "leashes" in API group "coordination.k8s.io" in the namespace "contract-access"';
    expect({ status: answer.status, body: normalBody(answer.text) }).toEqual({
      status: 403,
      body: forbiddenBody(`leashes.coordination.k8s.io is forbidden: ${why}`, {
        group: 'coordination.k8s.io',
        kind: 'leashes',
      }),
    });
  });
}
