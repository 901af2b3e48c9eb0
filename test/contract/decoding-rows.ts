/** What cannot be read as a Lease: 400, before anything else is looked at. */
import { failureBody, leaseBody, type Prepared, type Row } from './row.js';
import { HANDLED_AS, LAYOUT, keptRow, specRow, textRow } from './spec-text.js';

function numberRow(field: 'leaseDurationSeconds' | 'leaseTransitions', literal: string, seen: string): Row {
  const where = `Go struct field LeaseSpec.spec.${field} of type int32`;
  return specRow(`{"${field}":${literal}}`, `json: cannot unmarshal ${seen} into ${where}`);
}

const unreadable: readonly Row[] = [
  textRow(
    'an empty body is refused',
    '',
    `the object provided is unrecognized (must be of type Lease): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)`,
  ),
  textRow(
    'a list is refused',
    '[]',
    `the object provided is unrecognized (must be of type Lease): couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (5b5d)`,
  ),
  ...(
    [
      ['{"metadata":', 'unexpected end of JSON input'],
      ['{"metadata":{x}}', "invalid character 'x' looking for beginning of object key string"],
      ['{"spec" {}}', "invalid character '{' after object key"],
      ['{"spec":{}]', "invalid character ']' after object key:value pair"],
      ['{"spec":tru}', "invalid character '}' in literal true (expecting 'e')"],
      ['{"spec":01}', "invalid character '1' after object key:value pair"],
      ['{"spec":-}', "invalid character '}' in numeric literal"],
      ['{"spec":1.}', "invalid character '}' after decimal point in numeric literal"],
      ['{"spec":1e}', "invalid character '}' in exponent of numeric literal"],
      ['{"spec":"\\x"}', "invalid character 'x' in string escape code"],
      ['{"spec":"\\u12z4"}', "invalid character 'z' in \\u hexadecimal character escape"],
      ['{"spec":"\t"}', "invalid character '\\t' in string literal"],
      ['{"spec":[1 2]}', "invalid character '2' after array element"],
      ['{"spec":{}} x', "invalid character 'x' after top-level value"],
      [`{"spec":'a'}`, "invalid character '\\'' looking for beginning of value"],
    ] as const
  ).map(([text, complaint]) =>
    textRow(
      `${JSON.stringify(text)} is refused`,
      text,
      `the object provided is unrecognized (must be of type Lease): couldn't get version/kind; json parse error: ${complaint} (${text})`,
    ),
  ),
];

const otherTypes: readonly Row[] = [
  textRow(
    'another kind is refused',
    '{"kind":"Leash","metadata":{"name":"NAME"}}',
    'Leash in version "v1" cannot be handled as a Lease: no kind "Leash" is registered for version "coordination.k8s.io/v1" in scheme "…"',
  ),
  textRow(
    'another version is refused',
    '{"apiVersion":"coordination.k8s.io/v9","kind":"Lease","metadata":{"name":"NAME"}}',
    'Lease in version "v9" cannot be handled as a Lease: no kind "Lease" is registered for version "coordination.k8s.io/v9" in scheme "…"',
  ),
];

const wrongTypes: readonly Row[] = [
  ...['1.5', '15.0', '1e1', '2147483648', '-2147483649'].map((literal) =>
    numberRow('leaseDurationSeconds', literal, `number ${literal}`),
  ),
  numberRow('leaseDurationSeconds', '"15"', 'string'),
  numberRow('leaseTransitions', 'true', 'bool'),
  numberRow('leaseTransitions', '{}', 'object'),
  numberRow('leaseTransitions', '[]', 'array'),
  specRow(
    '{"holderIdentity":5}',
    'json: cannot unmarshal number into Go struct field LeaseSpec.spec.holderIdentity of type string',
  ),
  specRow(
    '{"strategy":5}',
    'json: cannot unmarshal number into Go struct field LeaseSpec.spec.strategy of type v1.CoordinatedLeaseStrategy',
  ),
  specRow(
    '{"renewTime":5}',
    'json: cannot unmarshal number into Go struct field LeaseSpec.spec.renewTime of type string',
  ),
  specRow(
    '{"renewTime":{}}',
    'json: cannot unmarshal object into Go struct field LeaseSpec.spec.renewTime of type string',
  ),
  specRow(
    '{"leaseTransitions":"a","holderIdentity":1}',
    'json: cannot unmarshal string into Go struct field LeaseSpec.spec.leaseTransitions of type int32',
  ),
  specRow(
    '{"leaseTransitions":"a","renewTime":"b"}',
    `parsing time "b" as "${LAYOUT}": cannot parse "b" as "2006"`,
  ),
  specRow('"a"', 'json: cannot unmarshal string into Go struct field Lease.spec of type v1.LeaseSpec'),
  textRow(
    'metadata that is a list is refused',
    '{"metadata":[]}',
    `${HANDLED_AS}json: cannot unmarshal array into Go struct field Lease.metadata of type v1.ObjectMeta`,
  ),
  ...(
    [
      ['"name":1', 'number', 'ObjectMeta.metadata.name of type string'],
      ['"uid":1', 'number', 'ObjectMeta.metadata.uid of type types.UID'],
      ['"labels":{"a":1}', 'number', 'ObjectMeta.metadata.labels of type string'],
      ['"labels":[]', 'array', 'ObjectMeta.metadata.labels of type map[string]string'],
      ['"annotations":{"a":true}', 'bool', 'ObjectMeta.metadata.annotations of type string'],
      ['"finalizers":"a"', 'string', 'ObjectMeta.metadata.finalizers of type []string'],
      [
        '"ownerReferences":[{"kind":1}]',
        'number',
        'OwnerReference.metadata.ownerReferences.kind of type string',
      ],
      ['"managedFields":{}', 'object', 'ObjectMeta.metadata.managedFields of type []v1.ManagedFieldsEntry'],
    ] as const
  ).map(([metadata, seen, where]) =>
    textRow(
      `metadata with ${metadata} is refused`,
      `{"metadata":{${metadata}}}`,
      `${HANDLED_AS}json: cannot unmarshal ${seen} into Go struct field ${where}`,
    ),
  ),
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
    '{"holderIdentity":"a","holderIdentity":"b","HolderIdentity":"c"}',
    201,
    ({ namespace, free }) => leaseBody(namespace, free, { holderIdentity: 'b' }),
    '299 - "duplicate field \\"spec.holderIdentity\\"", 299 - "unknown field \\"spec.HolderIdentity\\""',
  ),
  strictRow('Strict', '{"foo":1,"bar":{"a":1}}', 400, () =>
    failureBody(
      400,
      'BadRequest',
      `${HANDLED_AS}strict decoding error: unknown field "spec.foo", unknown field "spec.bar"`,
    ),
  ),
  strictRow('Maybe', '{}', 422, () =>
    failureBody(
      422,
      'Invalid',
      'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Maybe": supported values: "", "Ignore", "Strict", "Warn"',
      {
        group: 'meta.k8s.io',
        kind: 'CreateOptions',
        causes: [
          {
            reason: 'FieldValueNotSupported',
            message: 'Unsupported value: "Maybe": supported values: "", "Ignore", "Strict", "Warn"',
            field: 'fieldValidation',
          },
        ],
      },
    ),
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
