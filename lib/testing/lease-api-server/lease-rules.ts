/** The rules about the fields of a Lease. A Lease that breaks one is refused with 422. */
import { isSubdomain, show } from '../../election/internal.js';
import type { LeaseObject } from './lease-object.js';
import { TYPE, refuseViolations, type Violation } from './status.js';

/**
 * @param isNew whether the Lease is created; the name of a Lease that is updated was checked before.
 * @throws StatusError 422
 */
export function refuseInvalidLease(lease: LeaseObject, isNew: boolean): void {
  const { name = '' } = lease.metadata;
  const violations = [...(isNew ? nameViolations(name) : []), ...violationsOf(lease)];
  refuseViolations({ ...(name !== '' && { name }), ...TYPE }, violations);
}

const SUBDOMAIN = `must consist of at most 253 lower case letters, digits, '-' or '.' (RFC 1123)`;
const LABEL = `must consist of at most 63 letters, digits, '-', '_' or '.'`;
const KEY = `${LABEL}, with an optional domain and '/' before them`;

function nameViolations(name: string): Violation[] {
  if (name === '') return [['metadata.name', 'Required', 'name or generateName is required']];
  return isSubdomain(name) ? [] : [['metadata.name', 'Invalid', `${show(name)} ${SUBDOMAIN}`]];
}

function* violationsOf({ metadata, spec }: LeaseObject): Generator<Violation> {
  const { labels = {}, annotations = {}, ownerReferences = [], finalizers = [] } = metadata;
  for (const [key, value] of Object.entries(labels)) {
    if (!isLabelKey(key)) yield ['metadata.labels', 'Invalid', `${show(key)} ${KEY}`];
    if (!isLabelValue(value)) yield ['metadata.labels', 'Invalid', `${show(value)} ${LABEL}`];
  }
  for (const key of Object.keys(annotations)) {
    if (!isLabelKey(key.toLowerCase())) yield ['metadata.annotations', 'Invalid', `${show(key)} ${KEY}`];
  }
  if (Buffer.byteLength(Object.entries(annotations).flat().join('')) > MAX_ANNOTATION_BYTES)
    yield ['metadata.annotations', 'TooLong', `must be ${String(MAX_ANNOTATION_BYTES)} bytes at most`];
  if (ownerReferences.filter(({ controller }) => controller === true).length > 1)
    yield ['metadata.ownerReferences', 'Invalid', 'only one owner can be the controller'];
  for (const owner of ownerReferences) {
    for (const field of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (!owner[field]) yield [`metadata.ownerReferences.${field}`, 'Invalid', 'must not be empty'];
    }
  }
  for (const name of finalizers) {
    if (!isLabelKey(name)) yield ['metadata.finalizers', 'Invalid', `${show(name)} ${KEY}`];
  }
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion'))
    yield ['metadata.finalizers', 'Invalid', 'orphan and foregroundDeletion exclude each other'];
  const { leaseDurationSeconds = 1, leaseTransitions = 0, strategy, preferredHolder = '' } = spec;
  if (leaseDurationSeconds <= 0) yield ['spec.leaseDurationSeconds', 'Invalid', 'must be greater than 0'];
  if (leaseTransitions < 0) yield ['spec.leaseTransitions', 'Invalid', 'must be 0 or greater'];
  // The API server names this field twice.
  const field = 'spec.strategy.strategy';
  if (strategy?.includes('/') === true) {
    if (!isLabelKey(strategy)) yield [field, 'Invalid', `${show(strategy)} ${KEY}`];
  } else if (strategy !== undefined && strategy !== 'OldestEmulationVersion') {
    yield [field, 'NotSupported', 'must be OldestEmulationVersion, or a name with a domain'];
  }
  if (preferredHolder !== '' && !strategy)
    yield ['spec.preferredHolder', 'Forbidden', 'may only be given together with strategy'];
}

/** Keys and values of all annotations together. */
const MAX_ANNOTATION_BYTES = 262_144;

const LABEL_NAME = /^(?=.{1,63}$)[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/** Whether it may be the key of a label or an annotation, or the name of a finalizer. */
export function isLabelKey(key: string): boolean {
  const [name = '', prefix, ...more] = key.split('/').reverse();
  return LABEL_NAME.test(name) && (prefix === undefined || isSubdomain(prefix)) && more.length === 0;
}

export function isLabelValue(value: string): boolean {
  return value === '' || LABEL_NAME.test(value);
}
