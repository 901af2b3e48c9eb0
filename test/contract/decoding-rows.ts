/** What cannot be read as a Lease: 400, before anything else is looked at. */
import { BAD_REQUEST, invalidOptionsBody, leaseBody, type Prepared, type Row } from './row.js';
import { keptRow, specRow, textRow } from './spec-text.js';

const unreadable: readonly Row[] = [
  textRow('an empty body is refused', ''),
  textRow('a list is refused', '[]'),
  ...[
    '{"metadata":',
    '{"metadata":{x}}',
    '{"spec" {}}',
    '{"spec":{}]',
    '{"spec":tru}',
    '{"spec":01}',
    '{"spec":-}',
    '{"spec":1.}',
    '{"spec":1e}',
    '{"spec":"\\x"}',
    '{"spec":"\\u12z4"}',
    '{"spec":"\t"}',
    '{"spec":[1 2]}',
    '{"spec":{}} x',
    `{"spec":'a'}`,
  ].map((text) => textRow(`${JSON.stringify(text)} is refused`, text)),
];

const otherTypes: readonly Row[] = [
  textRow('another kind is refused', '{"kind":"Leash","metadata":{"name":"NAME"}}'),
  textRow(
    'another version is refused',
    '{"apiVersion":"coordination.k8s.io/v9","kind":"Lease","metadata":{"name":"NAME"}}',
  ),
];

const wrongTypes: readonly Row[] = [
  specRow('{"leaseDurationSeconds":1.5}'),
  specRow('{"leaseDurationSeconds":2147483648}'),
  specRow('{"leaseDurationSeconds":-2147483649}'),
  specRow('{"leaseDurationSeconds":"15"}'),
  specRow('{"leaseTransitions":true}'),
  specRow('{"leaseTransitions":{}}'),
  specRow('{"leaseTransitions":[]}'),
  specRow('{"holderIdentity":5}'),
  specRow('{"strategy":5}'),
  specRow('{"renewTime":5}'),
  specRow('{"renewTime":{}}'),
  specRow('{"leaseTransitions":"a","holderIdentity":1}'),
  specRow('{"leaseTransitions":"a","renewTime":"b"}'),
  specRow('"a"'),
  textRow('metadata that is a list is refused', '{"metadata":[]}'),
  ...[
    '"name":1',
    '"uid":1',
    '"labels":{"a":1}',
    '"labels":[]',
    '"annotations":{"a":true}',
    '"finalizers":"a"',
    '"ownerReferences":[{"kind":1}]',
    '"managedFields":{}',
  ].map((metadata) => textRow(`metadata with ${metadata} is refused`, `{"metadata":{${metadata}}}`)),
];

const kept: readonly Row[] = [
  keptRow('null', {}),
  keptRow('{"holderIdentity":""}', { holderIdentity: '' }),
  keptRow('{"holderIdentity":null,"leaseDurationSeconds":null,"renewTime":null}', {}),
  keptRow('{"holderIdentity":"ü \\u2028 \\ud83d\\ude00 <b>"}', { holderIdentity: 'ü \u2028 😀 <b>' }),
  keptRow('{"leaseDurationSeconds":2147483647,"leaseTransitions":0}', {
    leaseDurationSeconds: 2147483647,
    leaseTransitions: 0,
  }),
];

/** Unknown and repeated fields, by what the query asks. */
function strictRow(
  validation: string,
  spec: string,
  status: number,
  body: (lease: Prepared) => unknown,
  warning?: string,
): Row {
  return {
    title: `fieldValidation=${validation} with ${spec}`,
    request: ({ collection, free }) => ({
      method: 'POST',
      path: `${collection}${validation === '' ? '' : `?fieldValidation=${validation}`}`,
      body: `{"metadata":{"name":"${free}"},"spec":${spec}}`,
    }),
    status,
    body,
    headers: { warning },
  };
}

const strictness: readonly Row[] = [
  strictRow(
    '',
    '{"foo":1}',
    201,
    ({ namespace, free }) => leaseBody(namespace, free, {}),
    '299 - "unknown field \\"spec.foo\\""',
  ),
  strictRow('Ignore', '{"foo":1}', 201, ({ namespace, free }) => leaseBody(namespace, free, {})),
  strictRow(
    'Warn',
    '{"holderIdentity":"b","HolderIdentity":"c"}',
    201,
    ({ namespace, free }) => leaseBody(namespace, free, { holderIdentity: 'b' }),
    '299 - "unknown field \\"spec.HolderIdentity\\""',
  ),
  strictRow('Strict', '{"foo":1,"bar":{"a":1}}', 400, () => BAD_REQUEST),
  strictRow('Maybe', '{}', 422, () =>
    invalidOptionsBody('CreateOptions', { reason: 'FieldValueNotSupported', field: 'fieldValidation' }),
  ),
  {
    title: 'unknown fields anywhere are told',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: {
        metadata: {
          name: free,
          nick: 'a',
          ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'n', uid: 'u', x: 1 }],
        },
        status: {},
      },
    }),
    status: 201,
    body: ({ namespace, free }) =>
      leaseBody(
        namespace,
        free,
        {},
        { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'n', uid: 'u' }] },
      ),
    headers: {
      warning:
        '299 - "unknown field \\"metadata.nick\\"", 299 - "unknown field \\"metadata.ownerReferences[0].x\\"", 299 - "unknown field \\"status\\""',
    },
  },
];

export const decodingRows: readonly Row[] = [
  ...unreadable,
  ...otherTypes,
  ...wrongTypes,
  ...kept,
  ...strictness,
];
