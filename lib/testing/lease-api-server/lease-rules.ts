/** What a Lease must be to be stored: the rules behind every 422 about its fields. */
import { isSubdomain, show } from '../../election/index.js';
import type { LeaseMetadata, LeaseObject, LeaseSpec } from './lease-object.js';
import { isLabelKey, isLabelValue } from './lists.js';
import { TYPE, failed, requireRules, type Rule } from './status.js';

/** In all, keys and values. */
const MAX_ANNOTATION_BYTES = 262_144;

/** etcd's limit of one request. */
const MAX_STORED_BYTES = 1_572_864;

/**
 * @param previous the Lease that is updated; undefined for a new one.
 * @throws StatusError 422, and 500 for a Lease that is too large to store
 */
export function requireValid(lease: LeaseObject, previous: LeaseObject | undefined): void {
  const { metadata, spec } = lease;
  const { name = '' } = metadata;
  requireRules({ ...(name !== '' && { name }), ...TYPE }, [
    ...(previous === undefined ? nameRules(metadata) : changeRules(metadata, previous.metadata)),
    ...metadataRules(metadata),
    ...specRules(spec),
  ]);
  if (Buffer.byteLength(JSON.stringify(lease)) > MAX_STORED_BYTES)
    throw failed(500, 'etcdserver: request is too large');
}

const SUBDOMAIN = `must consist of at most 253 lower case letters, digits, '-' or '.' (RFC 1123)`;

function nameRules({ name = '', generateName = '' }: LeaseMetadata): Rule[] {
  // A name follows, so the prefix may end in '-'.
  const isPrefix = generateName === '' || isSubdomain(generateName.replace(/.-$/, 'a'));
  return [
    [isPrefix, 'metadata.generateName', 'Invalid', SUBDOMAIN],
    [name !== '', 'metadata.name', 'Required', 'name or generateName is required'],
    [name === '' || isSubdomain(name), 'metadata.name', 'Invalid', `${show(name)} ${SUBDOMAIN}`],
  ];
}

function changeRules({ uid, finalizers = [] }: LeaseMetadata, previous: LeaseMetadata): Rule[] {
  const isAdded = finalizers.some((name) => previous.finalizers?.includes(name) !== true);
  const isGoing = previous.deletionTimestamp !== undefined;
  return [
    [uid === previous.uid, 'metadata.uid', 'Invalid', 'field is immutable'],
    [
      !isGoing || !isAdded,
      'metadata.finalizers',
      'Forbidden',
      'the Lease is being deleted: none can be added',
    ],
  ];
}

function metadataRules(metadata: LeaseMetadata): Rule[] {
  const { labels = {}, annotations = {}, ownerReferences = [], finalizers = [] } = metadata;
  const sizes = Object.entries(annotations).map((texts) => Buffer.byteLength(texts.join('')));
  const isSmall = sizes.reduce((sum, size) => sum + size, 0) <= MAX_ANNOTATION_BYTES;
  const hasOneController = ownerReferences.filter(({ controller }) => controller === true).length < 2;
  const isContradiction = finalizers.includes('orphan') && finalizers.includes('foregroundDeletion');
  return [
    ...Object.keys(labels).map((key) => keyRule('metadata.labels', key)),
    ...Object.values(labels).map((value) => valueRule('metadata.labels', value)),
    ...Object.keys(annotations).map((key) => keyRule('metadata.annotations', key.toLowerCase())),
    [isSmall, 'metadata.annotations', 'TooLong', `must be ${String(MAX_ANNOTATION_BYTES)} bytes at most`],
    ...ownerReferences.flatMap(({ apiVersion, kind, name, uid }) =>
      Object.entries({ apiVersion: apiVersion.split('/').at(-1), kind, name, uid }).map(
        ([field, value]): Rule => [value !== '', `${OWNERS}.${field}`, 'Invalid', 'must not be empty'],
      ),
    ),
    [hasOneController, OWNERS, 'Invalid', 'only one owner can be the controller'],
    ...finalizers.map((name) => keyRule('metadata.finalizers', name)),
    [!isContradiction, 'metadata.finalizers', 'Invalid', 'orphan and foregroundDeletion exclude each other'],
  ];
}

const OWNERS = 'metadata.ownerReferences';
const LABEL = `must consist of at most 63 letters, digits, '-', '_' or '.'`;

function keyRule(field: string, key: string): Rule {
  return [
    isLabelKey(key),
    field,
    'Invalid',
    `${show(key)} ${LABEL}, with an optional domain and '/' before them`,
  ];
}

function valueRule(field: string, value: string): Rule {
  return [isLabelValue(value), field, 'Invalid', `${show(value)} ${LABEL}`];
}

function specRules(spec: LeaseSpec): Rule[] {
  const { leaseDurationSeconds = 1, leaseTransitions = 0, strategy, preferredHolder = '' } = spec;
  const field = 'spec.strategy.strategy';
  const isOwn = strategy?.includes('/') === true;
  const isKnown = isOwn || strategy === undefined || strategy === 'OldestEmulationVersion';
  const mayPrefer = preferredHolder === '' || (strategy ?? '') !== '';
  return [
    [leaseDurationSeconds > 0, 'spec.leaseDurationSeconds', 'Invalid', 'must be greater than 0'],
    [leaseTransitions >= 0, 'spec.leaseTransitions', 'Invalid', 'must be 0 or greater'],
    ...(isOwn ? [keyRule(field, strategy)] : []),
    [isKnown, field, 'NotSupported', 'must be OldestEmulationVersion, or a name with a domain'],
    [mayPrefer, 'spec.preferredHolder', 'Forbidden', 'may only be given together with strategy'],
  ];
}
