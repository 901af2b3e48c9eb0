import { kindOf } from '../election/internal.js';

/** The kind, name and namespace of an object. */
export interface ObjectAddress {
  readonly kind: string;
  /** `''` if the server generates the name. */
  readonly name: string;
  readonly namespace: string;
}

/** The parts of an object that this package uses. All others are kept as they are, without `metadata.managedFields`. */
export interface ApiObject {
  readonly metadata: Fields & {
    readonly resourceVersion: string;
    readonly uid: string;
    readonly labels?: Fields | undefined;
    readonly annotations?: Fields | undefined;
  };
  readonly spec?: Fields | undefined;
}

/** A map of names and values. */
export type Fields = Readonly<Record<string, unknown>>;

/** Thrown for an object that cannot be used. The message names the field and the rule that it breaks. */
export class UnusableObject extends Error {
  override readonly name = 'UnusableObject';
}

/** A decimal number of at most 128 bits. Comparing numbers of a million digits would take seconds. */
const resourceVersionFormat = /^[1-9]\d{0,38}$/;

/**
 * Checks that a value is the requested object in the form that an API server returns: with a uid, a version that can
 * be compared, and maps where maps belong. A null field counts as missing, as in Kubernetes. Messages never quote the
 * object, because its content may be secret.
 *
 * @throws UnusableObject
 */
export function apiObject(value: unknown, asked: ObjectAddress): ApiObject {
  refuseAnother(value, asked);
  const object = fieldsIn(value);
  const given = fieldsAt(object, 'metadata') ?? {};
  for (const field of ['name', 'namespace', 'uid'])
    if (textAt(given, field, 'metadata.') === undefined)
      throw new UnusableObject(`metadata.${field} is missing or empty`);
  const { resourceVersion } = given;
  if (typeof resourceVersion !== 'string' || !resourceVersionFormat.test(resourceVersion))
    throw new UnusableObject('metadata.resourceVersion must be a decimal number of at most 39 digits');
  // The server writes managedFields itself. It is the larger part of a Lease, which is kept until the next one is seen.
  const { managedFields: _, ...kept } = given;
  const metadata = {
    ...kept,
    labels: fieldsAt(given, 'labels', 'metadata.'),
    annotations: fieldsAt(given, 'annotations', 'metadata.'),
  };
  return { ...object, metadata, spec: fieldsAt(object, 'spec') } as ApiObject;
}

/**
 * Throws if a value says that it is a different object from the one that was requested.
 *
 * @throws UnusableObject
 */
export function refuseAnother(value: unknown, { kind, name, namespace }: ObjectAddress): void {
  const object = fieldsIn(value);
  const metadata = fieldsAt(object, 'metadata') ?? {};
  const parts: readonly [path: string, stated: unknown, asked: string][] = [
    ['kind', object['kind'], kind],
    ['metadata.name', metadata['name'], name],
    ['metadata.namespace', metadata['namespace'], namespace],
  ];
  for (const [path, stated, asked] of parts) {
    if ((stated ?? asked) === asked || asked === '') continue;
    throw new UnusableObject(`it is a different object: its ${path} is not '${asked}'`);
  }
}

/** The map in a field of `parent`; undefined if the field is missing. @throws UnusableObject for any other value. */
function fieldsAt(parent: Fields, field: string, path = ''): Fields | undefined {
  const value = parent[field] ?? undefined;
  return value === undefined ? undefined : fieldsIn(value, `${path}${field}`);
}

function fieldsIn(value: unknown, what = 'the object'): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new UnusableObject(`${what} is ${kindOf(value)}: it must be an object`);
}

/** The string in a field; undefined if the field is missing or empty. @throws UnusableObject for any other value. */
export function textAt(parent: Fields, field: string, path: string): string | undefined {
  const value = parent[field] ?? undefined;
  if (value === undefined || typeof value === 'string') return value === '' ? undefined : value;
  throw new UnusableObject(`${path}${field} is ${kindOf(value)}: it must be a string`);
}

/** The 32-bit number in a field; undefined if the field is missing. @throws UnusableObject for any other value. */
export function countAt(parent: Fields, field: string, path: string): number | undefined {
  const value = parent[field] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
  throw new UnusableObject(`${path}${field} must be a whole number from 0 to 2147483647`);
}
