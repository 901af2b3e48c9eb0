/** What a refused or failed request becomes. */
import { describe, expect, it } from 'vitest';
import { LeaseRequestError } from '../../lib/election/index.js';
import { failure, refusal, type RequestContext } from '../../lib/kubernetes/request-errors.js';
import { TransportError } from '../../lib/kubernetes/transport.js';

type Verb = RequestContext['verb'];

const of = (verb: Verb): RequestContext => ({ verb, name: 'billing', namespace: 'ours' });
const status = (parts: object): string => JSON.stringify({ kind: 'Status', ...parts });
const secret = 'do-not-tell';

describe('a refusal', () => {
  const noNamespace = status({ reason: 'NotFound', details: { name: 'ours', kind: 'namespaces' } });
  const throttled = `Too many requests, please try again later. ${secret}\n`;
  const rows: [Verb, number, string, string, boolean][] = [
    // verb, status, body, code, maybe committed
    ['get', 401, status({ message: secret }), 'LEADER_UNAUTHORIZED', false],
    ['update', 401, status({ message: secret }), 'LEADER_UNAUTHORIZED', false],
    ['update', 403, status({ reason: 'Forbidden', message: secret }), 'LEADER_FORBIDDEN', false],
    ['create', 404, noNamespace, 'LEADER_NAMESPACE_NOT_FOUND', false],
    ['update', 400, status({ reason: 'BadRequest', message: secret }), 'LEADER_REQUEST_INVALID', false],
    ['update', 422, status({ reason: 'Invalid', message: secret }), 'LEADER_REQUEST_INVALID', false],
    ['update', 413, secret, 'LEADER_REQUEST_INVALID', false],
    ['update', 429, throttled, 'LEADER_THROTTLED', false],
    ['get', 500, secret, 'LEADER_SERVER_ERROR', false],
    ['update', 500, secret, 'LEADER_SERVER_ERROR', true],
    ['create', 503, status({ reason: 'ServiceUnavailable' }), 'LEADER_SERVER_ERROR', true],
    ['update', 504, status({ reason: 'Timeout' }), 'LEADER_SERVER_ERROR', true],
    // A success without a Lease in it.
    ['get', 200, secret, 'LEADER_SERVER_ERROR', false],
    ['create', 201, secret, 'LEADER_SERVER_ERROR', true],
    // An answer from something that is no API server.
    ['update', 302, secret, 'LEADER_SERVER_ERROR', false],
    ['watch', 410, status({ reason: 'Expired' }), 'LEADER_SERVER_ERROR', false],
  ];

  it.each(rows)('of %s by %i with %s is %s', (verb, code, text, expected, maybeCommitted) => {
    const error = refusal({ status: code, headers: {}, text }, of(verb));
    expect(error).toBeInstanceOf(LeaseRequestError);
    expect(error).toMatchObject({ code: expected, maybeCommitted, retryAfterMs: undefined });
    expect(`${error.message}${String(error.cause)}`).not.toContain(secret);
  });

  it.each([
    ['2', 2000],
    ['0', undefined],
    ['soon', undefined],
    ['Wed, 21 Oct 2026 07:28:00 GMT', undefined],
  ])('with Retry-After %s asks to wait %s ms', (header, retryAfterMs) => {
    const error = refusal({ status: 429, headers: { 'retry-after': header }, text: '' }, of('get'));
    expect(error.retryAfterMs).toBe(retryAfterMs);
  });

  it.each(['get', 'create', 'update', 'watch'] as const)('names %s and prints the rule for it', (verb) => {
    const { message } = refusal({ status: 403, headers: {}, text: '' }, of(verb));
    expect(message).toContain(`permit ${verb} on leases.coordination.k8s.io 'billing' in namespace 'ours'`);
    expect(message).toContain('apiGroups: ["coordination.k8s.io"]');
    expect(message).toContain('resources: ["leases"]');
    expect(message).toContain('resourceNames: ["billing"]');
    expect(message).toContain('verbs: ["get", "create", "update", "list", "watch"]');
  });

  it('tells a namespace that is being deleted from a missing permission', () => {
    const text = status({
      reason: 'Forbidden',
      message: 'unable to create new content in namespace ours because it is being terminated',
    });
    const error = refusal({ status: 403, headers: {}, text }, of('create'));
    expect(error.code).toBe('LEADER_FORBIDDEN');
    expect(error.message).toContain("namespace 'ours' is being deleted");
    expect(error.message).not.toContain('apiGroups');
  });

  it('says how to make a namespace that is missing', () => {
    const error = refusal({ status: 404, headers: {}, text: noNamespace }, of('create'));
    expect(error.message).toContain('kubectl create namespace ours');
  });

  it.each(['null', '[]', '5', '{"message":5}', '{"details":{"causes":5}}', '<html>'])(
    'survives the body %s',
    (text) => {
      expect(refusal({ status: 403, headers: {}, text }, of('get')).code).toBe('LEADER_FORBIDDEN');
    },
  );
});

describe('a failure', () => {
  const rows: [Verb, string, boolean, boolean][] = [
    // verb, Node's code, sent, maybe committed
    ['get', 'ECONNRESET', true, false],
    ['watch', 'ECONNRESET', true, false],
    ['update', 'ECONNREFUSED', false, false],
    ['update', 'ENOTFOUND', false, false],
    ['update', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', false, false],
    ['update', 'ECONNRESET', true, true],
    ['create', 'EPIPE', true, true],
  ];

  it.each(rows)('of %s by %s, sent: %s', (verb, code, sent, maybeCommitted) => {
    const error = failure(new TransportError(code, sent), of(verb));
    expect(error).toMatchObject({ code: 'LEADER_UNREACHABLE', maybeCommitted });
    expect(error.message).toContain(code);
  });

  it('that is one of ours already stays as it is', () => {
    const reason = new LeaseRequestError('LEADER_REQUEST_TIMEOUT', 'too late', { maybeCommitted: true });
    expect(failure(reason, of('update'))).toBe(reason);
  });
});
