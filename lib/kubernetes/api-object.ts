/**
 * Objects as an API server prints them, checked where they are parsed: what passes is the object that was asked for, with a
 * uid, a version that can be compared, and maps where maps belong. Messages quote nothing of it: what others wrote may be
 * secret. A part that is null is the same as one that is missing, as in Kubernetes.
 */
import { kindOf } from '../election/index.js';

/** Which object is asked for. */
export interface ObjectAddress {
  readonly kind: string;
  /** `''` for one that the server names. */
  readonly name: string;
  readonly namespace: string;
}

/** The parts of an object that are looked at; whatever else it holds is carried along. */
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

/** Why an object cannot be used: which part of it, and what that must be. */
export class UnusableObject extends Error {
  override readonly name = 'UnusableObject';
}

/** A decimal number of at most 128 bits. To compare ones of a million digits would take the processor for seconds. */
const resourceVersionFormat = /^[1-9]\d{0,38}$/;

/**
 * That object, if it is the one that was asked for.
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
  const metadata = {
    ...given,
    labels: fieldsAt(given, 'labels', 'metadata.'),
    annotations: fieldsAt(given, 'annotations', 'metadata.'),
  };
  return { ...object, metadata, spec: fieldsAt(object, 'spec') } as ApiObject;
}

/**
 * Refuses what says that it is another object than the one that was asked for.
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
    throw new UnusableObject(`it is another object, whose ${path} is not '${asked}'`);
  }
}

/** The map in that field of `parent`; undefined when there is none. @throws UnusableObject when something else is there. */
function fieldsAt(parent: Fields, field: string, path = ''): Fields | undefined {
  const value = parent[field] ?? undefined;
  return value === undefined ? undefined : fieldsIn(value, `${path}${field}`);
}

function fieldsIn(value: unknown, what = 'the object'): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new UnusableObject(`${what} is ${kindOf(value)} where an object belongs`);
}

/** The text in that field; undefined when there is none, or an empty one. @throws UnusableObject when something else is there. */
export function textAt(parent: Fields, field: string, path: string): string | undefined {
  const value = parent[field] ?? undefined;
  if (value === undefined || typeof value === 'string') return value === '' ? undefined : value;
  throw new UnusableObject(`${path}${field} is ${kindOf(value)} where a text belongs`);
}

/** The number in that field, which has 32 bits; undefined when there is none. @throws UnusableObject when something else is there. */
export function countAt(parent: Fields, field: string, path: string): number | undefined {
  const value = parent[field] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
  throw new UnusableObject(`${path}${field} must be a whole number from 0 to 2147483647`);
}
