/** What is a Lease, but not a valid one: 422. */
import { failureBody, invalidBody, leaseBody, type Cause, type Prepared, type Row } from './row.js';

function wrong(field: string, shown: string, rule: string): Cause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${shown}: ${rule}`, field };
}

/** A POST of this spec. */
function specRow(spec: object, ...causes: readonly Cause[]): Row {
  return {
    title: `spec ${JSON.stringify(spec)} is refused`,
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free }, spec },
    }),
    status: 422,
    body: ({ free }) => invalidBody(free, ...causes),
  };
}

/** A POST of this metadata. */
function metadataRow(title: string, metadata: object, ...causes: readonly Cause[]): Row {
  return {
    title,
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free, ...metadata } },
    }),
    status: 422,
    body: ({ free }) => invalidBody('name' in metadata ? String(metadata.name) : free, ...causes),
  };
}

/** A PUT of this metadata over the prepared Lease. */
function changeRow(title: string, metadata: object, ...causes: readonly Cause[]): Row {
  return {
    title,
    request: ({ item, name, version }) => ({
      method: 'PUT',
      path: item,
      body: { metadata: { name, resourceVersion: version, ...metadata } },
    }),
    status: 422,
    body: ({ name }) => invalidBody(name, ...causes),
  };
}

const STRATEGY = 'Unsupported value: "Foo": supported values: "OldestEmulationVersion"';
const SUBDOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NAME_PART =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const DURATION = 'spec.leaseDurationSeconds';
const specs: readonly Row[] = [
  specRow({ leaseDurationSeconds: 0 }, wrong(DURATION, '0', 'must be greater than 0')),
  specRow({ leaseDurationSeconds: -1 }, wrong(DURATION, '-1', 'must be greater than 0')),
  specRow(
    { leaseTransitions: -1 },
    wrong('spec.leaseTransitions', '-1', 'must be greater than or equal to 0'),
  ),
  specRow(
    { leaseDurationSeconds: 0, leaseTransitions: -2 },
    wrong(DURATION, '0', 'must be greater than 0'),
    wrong('spec.leaseTransitions', '-2', 'must be greater than or equal to 0'),
  ),
  specRow(
    { strategy: 'Foo' },
    { reason: 'FieldValueNotSupported', message: STRATEGY, field: 'spec.strategy.strategy' },
  ),
  specRow(
    { strategy: '' },
    {
      reason: 'FieldValueNotSupported',
      message: STRATEGY.replace('Foo', ''),
      field: 'spec.strategy.strategy',
    },
  ),
  specRow({ strategy: 'example.com/-' }, wrong('spec.strategy.strategy', '"example.com/-"', NAME_PART)),
  specRow(
    { preferredHolder: 'a' },
    {
      reason: 'FieldValueForbidden',
      message: 'Forbidden: may only be specified if `strategy` is defined',
      field: 'spec.preferredHolder',
    },
  ),
  {
    title: 'a strategy with a domain, a preferred holder with a strategy and an empty one are taken',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: {
        metadata: { name: free },
        spec: { strategy: 'example.com/mine', holderIdentity: 'a', preferredHolder: '' },
      },
    }),
    status: 201,
    body: ({ namespace, free }) =>
      leaseBody(namespace, free, { holderIdentity: 'a', strategy: 'example.com/mine', preferredHolder: '' }),
  },
];

const LABELS = 'metadata.labels';
const OWNERS = 'metadata.ownerReferences';
const names: readonly Row[] = [
  metadataRow(
    'an upper case name is refused',
    { name: 'Upper' },
    wrong('metadata.name', '"Upper"', SUBDOMAIN),
  ),
  metadataRow(
    'a long name is refused',
    { name: 'a'.repeat(254) },
    wrong('metadata.name', `"${'a'.repeat(254)}"`, 'must be no more than 253 characters'),
  ),
  metadataRow(
    'no name is refused',
    { name: '' },
    {
      reason: 'FieldValueRequired',
      message: 'Required value: name or generateName is required',
      field: 'metadata.name',
    },
  ),
  metadataRow(
    'a label key with a space is refused',
    { labels: { 'a b': 'c' } },
    wrong(LABELS, '"a b"', NAME_PART),
  ),
  metadataRow(
    'a label key with an empty prefix is refused',
    { labels: { '/a': 'c' } },
    wrong(LABELS, '"/a"', 'prefix part must be non-empty'),
  ),
  metadataRow(
    'a label key with a bad prefix is refused',
    { labels: { 'A/a': 'c' } },
    wrong(LABELS, '"A/a"', `prefix part ${SUBDOMAIN}`),
  ),
  metadataRow(
    'a label key of two slashes is refused',
    { labels: { 'a/b/c': 'd' } },
    wrong(
      LABELS,
      '"a/b/c"',
      `a valid label key ${NAME_PART.slice('name part '.length)} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ),
  ),
  metadataRow('a bad label value is refused', { labels: { a: '-' } }, wrong(LABELS, '"-"', LABEL_VALUE)),
  metadataRow(
    'a long label value is refused',
    { labels: { a: 'b'.repeat(64) } },
    wrong(LABELS, `"${'b'.repeat(64)}"`, 'must be no more than 63 bytes'),
  ),
  metadataRow(
    'an annotation key with a space is refused',
    { annotations: { 'A b': '' } },
    wrong('metadata.annotations', '"A b"', NAME_PART),
  ),
  metadataRow(
    'too much in annotations is refused',
    { annotations: { a: 'b'.repeat(262_144) } },
    {
      reason: 'FieldValueTooLong',
      message: 'Too long: may not be more than 262144 bytes',
      field: 'metadata.annotations',
    },
  ),
  metadataRow(
    'an owner without anything is refused',
    { ownerReferences: [{}] },
    wrong(`${OWNERS}.apiVersion`, '""', 'version must not be empty'),
    wrong(`${OWNERS}.kind`, '""', 'must not be empty'),
    wrong(`${OWNERS}.name`, '""', 'must not be empty'),
    wrong(`${OWNERS}.uid`, '""', 'must not be empty'),
  ),
  metadataRow(
    'finalizers that exclude each other are refused',
    { finalizers: ['orphan', 'foregroundDeletion'] },
    wrong(
      'metadata.finalizers',
      '["orphan","foregroundDeletion"]',
      'finalizer orphan and foregroundDeletion cannot be both set',
    ),
  ),
  metadataRow(
    'two controllers are refused',
    {
      ownerReferences: [
        { apiVersion: 'v1', kind: 'Pod', name: 'a', uid: '1', controller: true },
        { apiVersion: 'v1', kind: 'Pod', name: 'b', uid: '2', controller: true },
      ],
    },
    wrong(
      OWNERS,
      '[{"apiVersion":"v1","kind":"Pod","name":"a","uid":"1","controller":true},{"apiVersion":"v1","kind":"Pod","name":"b","uid":"2","controller":true}]',
      'Only one reference can have Controller set to true. Found "true" in references for Pod/a and Pod/b',
    ),
  ),
  metadataRow(
    'a bad finalizer is refused',
    { finalizers: ['a b'] },
    wrong('metadata.finalizers', '"a b"', NAME_PART),
  ),
];

const label = wrong(LABELS, '"-"', LABEL_VALUE);
const changes: readonly Row[] = [
  changeRow(
    'a bad label in an update is told by each layer that looks',
    { labels: { a: '-' } },
    label,
    label,
    label,
  ),
  {
    title: 'an invalid Lease whose name exists is invalid, not a duplicate',
    request: ({ collection, name }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name }, spec: { leaseDurationSeconds: 0 } },
    }),
    status: 422,
    body: ({ name }) => invalidBody(name, wrong(DURATION, '0', 'must be greater than 0')),
  },
  {
    title: 'transitions and renewTime may go back',
    request: ({ item, name, version }) => ({
      method: 'PUT',
      path: item,
      body: {
        metadata: { name, resourceVersion: version },
        spec: { leaseTransitions: 0, renewTime: '2000-01-01T00:00:00.000000Z' },
      },
    }),
    status: 200,
    body: ({ namespace, name }: Prepared) =>
      leaseBody(namespace, name, { renewTime: '2000-01-01T00:00:00.000000Z', leaseTransitions: 0 }),
  },
  {
    title: 'an unknown dryRun is refused',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: `${collection}?dryRun=Some`,
      body: { metadata: { name: free } },
    }),
    status: 422,
    body: () =>
      failureBody(
        422,
        'Invalid',
        'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
        {
          group: 'meta.k8s.io',
          kind: 'CreateOptions',
          causes: [
            {
              reason: 'FieldValueNotSupported',
              message: 'Unsupported value: ["Some"]: supported values: "All"',
              field: 'dryRun',
            },
          ],
        },
      ),
  },
];

export const validationRows: readonly Row[] = [...specs, ...names, ...changes];
