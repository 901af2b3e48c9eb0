/** What metadata must be: 422. */
import { invalidBody, type Cause, type Row } from './row.js';
import { LABEL_VALUE, NAME_PART, SUBDOMAIN, wrong } from './validation-cause.js';

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

export const metadataRows: readonly Row[] = [
  ...names,
  changeRow(
    'a bad label in an update is told by each layer that looks',
    { labels: { a: '-' } },
    label,
    label,
    label,
  ),
];
