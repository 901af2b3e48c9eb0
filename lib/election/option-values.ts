/**
 * What an option's value is, in an error's words. It may be anything in JavaScript, so nothing here throws, and what is shown
 * is short and of one line, however long the value is.
 */

import { inspect } from 'node:util';

const LONGEST_SHOWN = 80;
const UNREADABLE = 'an object that cannot be looked into';
const BRIEFLY = {
  depth: 0,
  maxStringLength: 50,
  maxArrayLength: 5,
  breakLength: Infinity,
  // A class of the application may write a book, or a secret.
  customInspect: false,
};

/** The value itself, up to some 80 characters. A value that may be a secret is not to be shown: see {@link kindOf}. */
export function show(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  try {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (isObject && !isPlain(value)) return kindOf(value);
    const shown = inspect(isObject ? { ...value } : value, BRIEFLY);
    return shown.length > LONGEST_SHOWN ? `${shown.slice(0, LONGEST_SHOWN)}…` : shown;
  } catch {
    return UNREADABLE;
  }
}

/** Of which kind the value is, and nothing of what it holds: `missing`, `string`, `null`, `an array`, `a Map`. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  try {
    if (Array.isArray(value)) return 'an array';
    if (isPlain(value)) return 'an object';
    const { name } = value.constructor;
    return /^\w{1,40}$/.test(name) ? `a ${name}` : 'an object';
  } catch {
    return UNREADABLE;
  }
}

/**
 * A copy of an object of names and values. Undefined for all else: null, an array, a Map, a Date.
 *
 * @param known what to copy of what a class gives all of its objects, such as a getter; whatever else it gives is its own.
 */
export function fieldsOf(
  value: unknown,
  known: readonly string[] = [],
): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  try {
    if (Object.prototype.toString.call(value) !== '[object Object]') return undefined;
    const inherited = known.filter((name) => name in value && !Object.hasOwn(value, name));
    return { ...value, ...Object.fromEntries(inherited.map((name) => [name, Reflect.get(value, name)])) };
  } catch {
    return undefined;
  }
}

/** Whether it is a number of milliseconds, 0 or more. */
export function isDuration(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

/** Made by `{}`, in whatever context, or without a prototype. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
