/** Bodies that are not Leases: 400, before any other check. Unknown fields. */
import { BAD_REQUEST, invalidOptionsBody, leaseBody, type Prepared, type Row } from './row.js';
import { keptRow, specRow, textRow } from './spec-text.js';

const unreadable: readonly Row[] = [
  textRow('an empty body is refused', ''),
  textRow('a list is refused', '[]'),
  ...['{"metadata":', '{"spec":{}} x', `{"spec":'a'}`].map((text) =>
    textRow(`${JSON.stringify(text)} is refused`, text),
  ),
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

/** A POST with this fieldValidation. */
function strictRow(
  validation: string,
  spec: string,
  status: number,
  body: (lease: Prepared) => unknown,
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
  };
}

const strictness: readonly Row[] = [
  strictRow('', '{"foo":1}', 201, ({ namespace, free }) => leaseBody(namespace, free, {})),
  strictRow('Ignore', '{"foo":1}', 201, ({ namespace, free }) => leaseBody(namespace, free, {})),
  strictRow('Warn', '{"holderIdentity":"b","HolderIdentity":"c"}', 201, ({ namespace, free }) =>
    leaseBody(namespace, free, { holderIdentity: 'b' }),
  ),
  strictRow('Strict', '{"foo":1,"bar":{"a":1}}', 400, () => BAD_REQUEST),
  strictRow('Maybe', '{}', 422, () =>
    invalidOptionsBody('CreateOptions', { reason: 'FieldValueNotSupported', field: 'fieldValidation' }),
  ),
];

export const decodingRows: readonly Row[] = [
  ...unreadable,
  ...otherTypes,
  ...wrongTypes,
  ...kept,
  ...strictness,
];
