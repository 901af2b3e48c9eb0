/** The rules of the metadata: 422. */
import type { Cause } from './normal-form.js';
import { invalidBody, wrong, type Row } from './row.js';

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
const ANNOTATIONS = 'metadata.annotations';
const OWNERS = 'metadata.ownerReferences';
const FINALIZERS = 'metadata.finalizers';

export const metadataRows: readonly Row[] = [
  metadataRow('an upper case name is refused', { name: 'Upper' }, wrong('metadata.name')),
  metadataRow('a long name is refused', { name: 'a'.repeat(254) }, wrong('metadata.name')),
  metadataRow(
    'an empty name is refused',
    { name: '' },
    { reason: 'FieldValueRequired', field: 'metadata.name' },
  ),
  metadataRow('a label key with a space is refused', { labels: { 'a b': 'c' } }, wrong(LABELS)),
  metadataRow('a label key with an empty prefix is refused', { labels: { '/a': 'c' } }, wrong(LABELS)),
  metadataRow('a label key with a bad prefix is refused', { labels: { 'A/a': 'c' } }, wrong(LABELS)),
  metadataRow('a label key with two slashes is refused', { labels: { 'a/b/c': 'd' } }, wrong(LABELS)),
  metadataRow('a bad label value is refused', { labels: { a: '-' } }, wrong(LABELS)),
  metadataRow('a long label value is refused', { labels: { a: 'b'.repeat(64) } }, wrong(LABELS)),
  metadataRow(
    'an annotation key with a space is refused',
    { annotations: { 'A b': '' } },
    wrong(ANNOTATIONS),
  ),
  metadataRow(
    'too much in annotations is refused',
    { annotations: { a: 'b'.repeat(262_144) } },
    { reason: 'FieldValueTooLong', field: ANNOTATIONS },
  ),
  metadataRow(
    'an empty owner is refused',
    { ownerReferences: [{}] },
    wrong(`${OWNERS}.apiVersion`),
    wrong(`${OWNERS}.kind`),
    wrong(`${OWNERS}.name`),
    wrong(`${OWNERS}.uid`),
  ),
  metadataRow(
    'finalizers that exclude each other are refused',
    { finalizers: ['orphan', 'foregroundDeletion'] },
    wrong(FINALIZERS),
  ),
  metadataRow(
    'two controllers are refused',
    {
      ownerReferences: [
        { apiVersion: 'v1', kind: 'Pod', name: 'a', uid: '1', controller: true },
        { apiVersion: 'v1', kind: 'Pod', name: 'b', uid: '2', controller: true },
      ],
    },
    wrong(OWNERS),
  ),
  metadataRow('a bad finalizer is refused', { finalizers: ['a b'] }, wrong(FINALIZERS)),
  changeRow('a bad label in an update is refused', { labels: { a: '-' } }, wrong(LABELS)),
];
