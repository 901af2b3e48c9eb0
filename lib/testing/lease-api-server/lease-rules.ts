/** What a Lease must be to be stored: the rules behind every 422 about its fields. */
import { isSubdomain, show } from '../../election/index.js';
import type { LeaseMetadata, LeaseObject, LeaseSpec, OwnerReference } from './lease-object.js';
import { isLabelKey, isLabelValue } from './lists.js';
import { TYPE, failed, invalid, type StatusCause } from './status.js';

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
  const causes = [
    ...(previous === undefined ? nameCauses(metadata) : changeCauses(metadata, previous.metadata)),
    ...metadataCauses(metadata),
    ...specCauses(spec),
  ];
  const { name = '' } = metadata;
  if (causes.length > 0) throw invalid({ ...(name !== '' && { name }), ...TYPE }, causes);
  if (Buffer.byteLength(JSON.stringify(lease)) > MAX_STORED_BYTES)
    throw failed(500, 'etcdserver: request is too large');
}

function cause(
  reason: 'Invalid' | 'Required' | 'Forbidden' | 'TooLong' | 'NotSupported',
  field: string,
  message: string,
): StatusCause {
  return { reason: `FieldValue${reason}`, message, field };
}

/** No cause when the value fits. */
function unless(fits: boolean, field: string, value: unknown, rule: string): StatusCause[] {
  return fits ? [] : [cause('Invalid', field, `Invalid value: ${show(value)}: ${rule}`)];
}

const SUBDOMAIN = "must consist of at most 253 lower case letters, digits, '-' or '.' (RFC 1123)";
const KEY =
  "must consist of at most 63 letters, digits, '-', '_' or '.', with an optional domain and '/' before them";
const VALUE = "must consist of at most 63 letters, digits, '-', '_' or '.'";

function nameCauses({ name = '', generateName = '' }: LeaseMetadata): StatusCause[] {
  // A name follows, so the prefix may end in '-'.
  const isPrefix = generateName === '' || isSubdomain(generateName.replace(/-$/, 'a').slice(0, 253));
  const causes = unless(isPrefix, 'metadata.generateName', generateName, SUBDOMAIN);
  if (name === '') return [...causes, cause('Required', 'metadata.name', 'name or generateName is required')];
  return [...causes, ...unless(isSubdomain(name), 'metadata.name', name, SUBDOMAIN)];
}

function changeCauses({ uid, finalizers = [] }: LeaseMetadata, previous: LeaseMetadata): StatusCause[] {
  const causes = unless(uid === previous.uid, 'metadata.uid', uid, 'field is immutable');
  const isAdded = finalizers.some((name) => previous.finalizers?.includes(name) !== true);
  if (previous.deletionTimestamp !== undefined && isAdded)
    causes.push(
      cause('Forbidden', 'metadata.finalizers', 'none can be added while the Lease is being deleted'),
    );
  return causes;
}

function metadataCauses(metadata: LeaseMetadata): StatusCause[] {
  const { labels = {}, annotations = {}, ownerReferences = [], finalizers = [] } = metadata;
  const annotationKeys = Object.keys(annotations);
  const bytes = Object.entries(annotations).reduce(
    (sum, texts) => sum + Buffer.byteLength(texts.join('')),
    0,
  );
  const isContradiction = finalizers.includes('orphan') && finalizers.includes('foregroundDeletion');
  const controllers = ownerReferences.filter(({ controller }) => controller === true);
  return [
    ...Object.keys(labels).flatMap((key) => unless(isLabelKey(key), 'metadata.labels', key, KEY)),
    ...Object.values(labels).flatMap((value) => unless(isLabelValue(value), 'metadata.labels', value, VALUE)),
    ...annotationKeys.flatMap((key) =>
      unless(isLabelKey(key.toLowerCase()), 'metadata.annotations', key, KEY),
    ),
    ...(bytes > MAX_ANNOTATION_BYTES
      ? [
          cause(
            'TooLong',
            'metadata.annotations',
            `may not be more than ${String(MAX_ANNOTATION_BYTES)} bytes`,
          ),
        ]
      : []),
    ...ownerReferences.flatMap(ownerCauses),
    ...unless(controllers.length < 2, OWNERS, controllers.length, 'only one reference can be the controller'),
    ...finalizers.flatMap((name) => unless(isLabelKey(name), 'metadata.finalizers', name, KEY)),
    ...unless(
      !isContradiction,
      'metadata.finalizers',
      finalizers,
      'orphan and foregroundDeletion exclude each other',
    ),
  ];
}

const OWNERS = 'metadata.ownerReferences';

function ownerCauses({ apiVersion, kind, name, uid }: OwnerReference): StatusCause[] {
  const version = apiVersion.split('/').at(-1);
  return Object.entries({ apiVersion: version, kind, name, uid }).flatMap(([field, value]) =>
    unless(value !== '', `${OWNERS}.${field}`, value, 'must not be empty'),
  );
}

function specCauses(spec: LeaseSpec): StatusCause[] {
  const { leaseDurationSeconds = 1, leaseTransitions = 0, strategy, preferredHolder = '' } = spec;
  const duration = 'spec.leaseDurationSeconds';
  const causes = [
    ...unless(leaseDurationSeconds > 0, duration, leaseDurationSeconds, 'must be greater than 0'),
    ...unless(leaseTransitions >= 0, 'spec.leaseTransitions', leaseTransitions, 'must not be below 0'),
  ];
  const field = 'spec.strategy.strategy';
  if (strategy?.includes('/')) causes.push(...unless(isLabelKey(strategy), field, strategy, KEY));
  else if (strategy !== undefined && strategy !== 'OldestEmulationVersion')
    causes.push(cause('NotSupported', field, 'supported values: OldestEmulationVersion'));
  if (preferredHolder !== '' && (strategy ?? '') === '')
    causes.push(cause('Forbidden', 'spec.preferredHolder', 'may only be given together with strategy'));
  return causes;
}
