/** What a Lease must be to be stored: the rules behind every 422 about its fields, in the API server's order. */
import { goQuote } from './go-quote.js';
import { toJson } from './json-text.js';
import type { LeaseMetadata, LeaseObject, LeaseSpec, OwnerReference } from './lease-object.js';
import {
  keyViolations,
  labelValueViolations,
  subdomainPrefixViolations,
  subdomainViolations,
} from './names.js';
import {
  forbiddenValue,
  invalidValue,
  requiredValue,
  tooLong,
  unsupportedValue,
  type FieldError,
} from './status.js';

/** In all, keys and values. */
const MAX_ANNOTATION_BYTES = 262_144;

/** Every rule a new Lease breaks. */
export function validateNew(lease: LeaseObject): FieldError[] {
  return [...validateMetadata(lease.metadata, true), ...validateSpec(lease.spec)];
}

/** Every rule an update breaks. Rules of metadata are checked by three layers of the server and told by each. */
export function validateUpdate(lease: LeaseObject, previous: LeaseObject): FieldError[] {
  const changes = validateMetadataChange(lease.metadata, previous.metadata);
  return [...validateMetadata(lease.metadata, false), ...changes, ...changes, ...validateSpec(lease.spec)];
}

function validateSpec(spec: LeaseSpec): FieldError[] {
  const errors: FieldError[] = [];
  const { leaseDurationSeconds, leaseTransitions, strategy, preferredHolder } = spec;
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0) {
    errors.push(
      invalidValue('spec.leaseDurationSeconds', String(leaseDurationSeconds), 'must be greater than 0'),
    );
  }
  if (leaseTransitions !== undefined && leaseTransitions < 0) {
    const rule = 'must be greater than or equal to 0';
    errors.push(invalidValue('spec.leaseTransitions', String(leaseTransitions), rule));
  }
  if (strategy !== undefined) errors.push(...validateStrategy(strategy));
  if ((preferredHolder ?? '') !== '' && (strategy ?? '') === '') {
    errors.push(forbiddenValue('spec.preferredHolder', 'may only be specified if `strategy` is defined'));
  }
  return errors;
}

function validateStrategy(strategy: string): FieldError[] {
  const field = 'spec.strategy.strategy';
  if (strategy.includes('/'))
    return keyViolations(strategy).map((rule) => invalidValue(field, goQuote(strategy), rule));
  return strategy === 'OldestEmulationVersion'
    ? []
    : [unsupportedValue(field, goQuote(strategy), ['OldestEmulationVersion'])];
}

function validateMetadata(metadata: LeaseMetadata, isNew: boolean): FieldError[] {
  const { name = '', generateName = '' } = metadata;
  const errors: FieldError[] = [];
  if (isNew) {
    for (const rule of generateName === '' ? [] : subdomainPrefixViolations(generateName)) {
      errors.push(invalidValue('metadata.generateName', goQuote(generateName), rule));
    }
    if (name === '') errors.push(requiredValue('metadata.name', 'name or generateName is required'));
    else
      errors.push(
        ...subdomainViolations(name).map((rule) => invalidValue('metadata.name', goQuote(name), rule)),
      );
  }
  errors.push(...validateLabels(metadata), ...validateAnnotations(metadata), ...validateOwners(metadata));
  return [...errors, ...validateFinalizers(metadata)];
}

function validateFinalizers({ finalizers = [] }: LeaseMetadata): FieldError[] {
  const field = 'metadata.finalizers';
  const errors = finalizers.flatMap((finalizer) =>
    keyViolations(finalizer).map((rule) => invalidValue(field, goQuote(finalizer), rule)),
  );
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    const rule = 'finalizer orphan and foregroundDeletion cannot be both set';
    errors.push(invalidValue(field, toJson(finalizers), rule));
  }
  return errors;
}

function validateMetadataChange(metadata: LeaseMetadata, previous: LeaseMetadata): FieldError[] {
  const errors: FieldError[] = [];
  if (previous.deletionTimestamp !== undefined) {
    const added = (metadata.finalizers ?? [])
      .filter((name) => !(previous.finalizers ?? []).includes(name))
      .sort();
    const shown = `[]string{${added.map(goQuote).join(', ')}}`;
    const rule = `no new finalizers can be added if the object is being deleted, found new finalizers ${shown}`;
    if (added.length > 0) errors.push(forbiddenValue('metadata.finalizers', rule));
  }
  if (metadata.uid !== previous.uid) {
    errors.push(invalidValue('metadata.uid', goQuote(metadata.uid ?? ''), 'field is immutable'));
  }
  return [
    ...errors,
    ...validateLabels(metadata),
    ...validateAnnotations(metadata),
    ...validateOwners(metadata),
  ];
}

function validateLabels({ labels = {} }: LeaseMetadata): FieldError[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...keyViolations(key).map((rule) => invalidValue('metadata.labels', goQuote(key), rule)),
    ...labelValueViolations(value).map((rule) => invalidValue('metadata.labels', goQuote(value), rule)),
  ]);
}

function validateAnnotations({ annotations = {} }: LeaseMetadata): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    const violations = keyViolations(key.toLowerCase());
    errors.push(...violations.map((rule) => invalidValue('metadata.annotations', goQuote(key), rule)));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > MAX_ANNOTATION_BYTES) {
    errors.push(
      tooLong('metadata.annotations', `may not be more than ${String(MAX_ANNOTATION_BYTES)} bytes`),
    );
  }
  return errors;
}

function validateOwners({ ownerReferences = [] }: LeaseMetadata): FieldError[] {
  const errors = ownerReferences.flatMap(validateOwner);
  const controllers = ownerReferences.filter(({ controller }) => controller === true);
  const [first, ...others] = controllers;
  if (others.length === 0) return errors;
  const shown = toJson(ownerReferences);
  for (const second of others) {
    const names = [first, second]
      .map((owner) => `${String(owner?.kind)}/${String(owner?.name)}`)
      .join(' and ');
    const rule = `Only one reference can have Controller set to true. Found "true" in references for ${names}`;
    errors.push(invalidValue('metadata.ownerReferences', shown, rule));
  }
  return errors;
}

function validateOwner({ apiVersion, kind, name, uid }: OwnerReference): FieldError[] {
  const field = 'metadata.ownerReferences';
  const version = apiVersion.split('/').at(-1) ?? '';
  const errors: FieldError[] = [];
  if (version === '')
    errors.push(invalidValue(`${field}.apiVersion`, goQuote(apiVersion), 'version must not be empty'));
  if (kind === '') errors.push(invalidValue(`${field}.kind`, '""', 'must not be empty'));
  if (name === '') errors.push(invalidValue(`${field}.name`, '""', 'must not be empty'));
  if (uid === '') errors.push(invalidValue(`${field}.uid`, '""', 'must not be empty'));
  return errors;
}
