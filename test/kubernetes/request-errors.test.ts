import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { LeaseRequestError, type LeaderErrorCode } from '../../lib/election/index.js';
import { failure, refusal, type RequestContext } from '../../lib/kubernetes/request-errors.js';
import { LEASES } from '../../lib/kubernetes/resources.js';
import { TransportError } from '../../lib/kubernetes/transport.js';

const reading: RequestContext = { verb: 'get', resource: LEASES, name: 'billing', namespace: 'shop' };
const writing: RequestContext = { ...reading, verb: 'update' };
const creating: RequestContext = { ...reading, verb: 'create' };

const status = (fields: object): string => JSON.stringify({ kind: 'Status', ...fields });

describe('a refusal', () => {
  it.each<[string, number, string, RequestContext, LeaderErrorCode, boolean, RegExp]>([
    ['401', 401, status({ reason: 'Unauthorized' }), reading, 'LEADER_UNAUTHORIZED', false, /credentials/],
    [
      '403',
      403,
      status({ reason: 'Forbidden' }),
      writing,
      'LEADER_FORBIDDEN',
      false,
      /resourceNames: \["billing"\]/,
    ],
    [
      '403 of a namespace that is being deleted',
      403,
      status({ message: 'unable to create new content in namespace shop because it is being terminated' }),
      creating,
      'LEADER_FORBIDDEN',
      false,
      /'shop' is being deleted/,
    ],
    [
      '404 of a namespace',
      404,
      status({ details: { kind: 'namespaces' } }),
      creating,
      'LEADER_NAMESPACE_NOT_FOUND',
      false,
      /kubectl create namespace shop/,
    ],
    [
      '422',
      422,
      status({ details: { causes: [{ field: 'spec.leaseDurationSeconds' }] } }),
      writing,
      'LEADER_REQUEST_INVALID',
      false,
      /spec\.leaseDurationSeconds/,
    ],
    [
      '429 in plain text',
      429,
      'Too many requests, please try again later.\n',
      writing,
      'LEADER_THROTTLED',
      false,
      /429/,
    ],
    ['500 to a read', 500, '{}', reading, 'LEADER_SERVER_ERROR', false, /500/],
    ['504 to a write', 504, status({ reason: 'Timeout' }), writing, 'LEADER_SERVER_ERROR', true, /504/],
    ["a proxy's page", 200, '<html>', writing, 'LEADER_SERVER_ERROR', true, /the answer cannot be used/],
  ])('%s', (_, code, text, context, expected, maybeCommitted, message) => {
    const error = refusal({ status: code, headers: {}, text }, context);
    expect(error).toMatchObject({ code: expected, maybeCommitted });
    expect(error.message).toMatch(message);
  });

  it('contains how long the server asks to wait', () => {
    const error = refusal({ status: 429, headers: { 'retry-after': '2' }, text: '' }, writing);
    expect(error.retryAfterMs).toBe(2_000);
  });

  it("never passes on the server's text", () => {
    for (const code of [400, 401, 403, 404, 409, 422, 500]) {
      const text = status({ message: 'secret-of-the-server', details: { name: 'secret-of-the-server' } });
      expect(refusal({ status: code, headers: {}, text }, writing).message).not.toContain(
        'secret-of-the-server',
      );
    }
  });
});

describe('a failure', () => {
  it.each<[string, TransportError, RequestContext, boolean, RegExp]>([
    ['nothing listens', new TransportError('ECONNREFUSED', false), writing, false, /Nothing listens there/],
    ['the name does not resolve', new TransportError('ENOTFOUND', false), writing, false, /does not resolve/],
    [
      'its certificate is not trusted',
      new TransportError('SELF_SIGNED_CERT_IN_CHAIN', false),
      writing,
      false,
      /not trusted/,
    ],
    ['it broke after a write was sent', new TransportError('ECONNRESET', true), writing, true, /ECONNRESET/],
    ['it broke after a read was sent', new TransportError('ECONNRESET', true), reading, false, /ECONNRESET/],
  ])('%s', (_, cause, context, maybeCommitted, message) => {
    const error = failure(cause, context);
    expect(error).toMatchObject({ code: 'LEADER_UNREACHABLE', maybeCommitted, cause });
    expect(error.message).toMatch(message);
  });
});

describe('the invalid fields of a refusal', () => {
  const messageFor = (causes: unknown): string =>
    refusal({ status: 422, headers: {}, text: status({ details: { causes } }) }, writing).message;

  it('are shown if they are field paths', () => {
    const paths = ['spec.leaseDurationSeconds', 'metadata.annotations[example.com/a_b-c]', 'metadata.name'];
    expect(messageFor(paths.map((field) => ({ field })))).toContain(`Invalid fields: ${paths.join(', ')}.`);
  });

  it('are not shown otherwise: a forged body cannot write into a log', () => {
    const forged = ['spec.x\nERROR hunter2', 'a hunter2', 'x'.repeat(65), '', 7, { hunter2: 1 }];
    const message = messageFor(forged.map((field) => ({ field })));
    expect(message).not.toMatch(/hunter2|xx|\n|Invalid fields/);
  });

  it('are limited in number', () => {
    const message = messageFor(Array.from({ length: 50 }, (_, at) => ({ field: `spec.f${String(at)}` })));
    expect(message).toContain('spec.f4.');
    expect(message).not.toContain('spec.f5');
  });
});

it('a printed error shows its code and its text, not what the election reads of it', () => {
  const error = new LeaseRequestError('LEADER_THROTTLED', 'too many', {
    maybeCommitted: true,
    retryAfterMs: 7,
  });
  expect(inspect(error)).toContain("code: 'LEADER_THROTTLED'");
  expect(inspect(error)).not.toMatch(/maybeCommitted|retryAfterMs/);
  expect([error.maybeCommitted, error.retryAfterMs]).toEqual([true, 7]);
});
