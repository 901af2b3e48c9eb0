/** PATCH: from a Lease as JSON and a body to JSON that is then read as a Lease. */
import { isDeepStrictEqual } from 'node:util';
import { isObject, parseJson } from './lease-reader.js';
import { failed } from './status.js';

const JSON_PATCH = 'application/json-patch+json';
const STRATEGIC = 'application/strategic-merge-patch+json';
const patchTypes = ['application/merge-patch+json', STRATEGIC, JSON_PATCH];

/** How a strategic merge patch says what to do with a list: `"$setElementOrder/finalizers":`. */
const DIRECTIVE = /"\$[^"]+"\s*:/;

/** @throws StatusError 415 */
export function requirePatchType(contentType = ''): string {
  const type = contentType.split(';')[0]?.trim() ?? '';
  if (patchTypes.includes(type)) return type;
  throw failed(415, `a PATCH must be of type ${patchTypes.join(', ')}`, {});
}

/**
 * What the patch makes of `lease`, which stays as it is. A strategic merge patch is applied as a merge patch: they differ only
 * in lists, of which a Lease has owners and finalizers.
 *
 * @throws StatusError 400 if it is not a patch, 413 if it is too large, 422 if it cannot be applied
 */
export function applyPatch(lease: object, body: string, type: string): unknown {
  const patch = parseJson(body);
  if (type === JSON_PATCH) {
    if (!Array.isArray(patch)) throw failed(400, 'a JSON patch must be a list of operations');
    return applyOperations(lease, patch);
  }
  if (!isObject(patch)) throw failed(400, 'a merge patch must be an object');
  if (type === STRATEGIC && DIRECTIVE.test(body))
    throw failed(
      400,
      'this server does not know the directives of a strategic merge patch: send a merge patch',
    );
  return merge(lease, patch);
}

/** RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  // A Map, because an assignment to `__proto__` would change what the object inherits.
  const merged = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, merge(merged.get(name), value));
  }
  return Object.fromEntries(merged);
}

/** The API server's limits: of operations, and of the characters that all copies of one patch come to. */
const MAX_OPERATIONS = 10_000;
const MAX_COPIED_LENGTH = 3_145_728;

/** RFC 6902, with the API server's deviations: an absent `value` is null, and `replace` may add a member. */
function applyOperations(lease: object, operations: readonly unknown[]): unknown {
  if (operations.length > MAX_OPERATIONS)
    throw failed(413, `a JSON patch may hold ${String(MAX_OPERATIONS)} operations`);
  const root = { '': structuredClone(lease) };
  let copiedLength = 0;
  for (const operation of operations) {
    if (!isObject(operation)) throw failed(400, 'an operation of a JSON patch must be an object');
    const { op, value = null } = operation;
    const [path, from] = [pathOf(operation['path']), pathOf(operation['from'])];
    if (op === 'test') requireThat(isDeepStrictEqual(valueAt(root, path) ?? null, value));
    else if (op === 'add') change(root, path, 0, [value]);
    else if (op === 'replace') change(root, path, 1, [value]);
    else if (op === 'remove') {
      requireThat(valueAt(root, path) !== undefined);
      change(root, path, 1, []);
    } else {
      requireThat(op === 'move' || op === 'copy');
      const text = JSON.stringify(valueAt(root, from)) as string | undefined;
      copiedLength += text?.length ?? 0;
      requireThat(text !== undefined && copiedLength <= MAX_COPIED_LENGTH);
      if (op === 'move') change(root, from, 1, []);
      change(root, path, 0, [JSON.parse(text ?? '')]);
    }
  }
  return root[''];
}

/** The names on the way to a value. The first is that of the whole document, which is empty. */
function pathOf(pointer: unknown = ''): readonly string[] {
  if (typeof pointer !== 'string') throw failed(400, 'a pointer of a JSON patch must be a string');
  return ['', ...pointer.split('/').slice(1)].map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function valueAt(root: object, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (node, name) =>
      typeof node === 'object' && node !== null && Object.hasOwn(node, name)
        ? (node as Readonly<Record<string, unknown>>)[name]
        : undefined,
    root,
  );
}

/** Puts a value there, or removes the one that is there, or both. */
function change(root: object, path: readonly string[], removed: 0 | 1, added: readonly unknown[]): void {
  const parent = valueAt(root, path.slice(0, -1));
  const name = path.at(-1) ?? '';
  if (Array.isArray(parent)) {
    const index = name === '-' && removed === 0 ? parent.length : Number(name);
    requireThat(Number.isInteger(index) && index >= 0 && index + removed <= parent.length);
    parent.splice(index, removed, ...added);
    return;
  }
  if (!isObject(parent)) throw rejected();
  // Not an assignment, because of `__proto__` again.
  if (added.length === 0) Reflect.deleteProperty(parent, name);
  else Object.defineProperty(parent, name, { ...MEMBER, value: added[0] });
}

const MEMBER = { configurable: true, enumerable: true, writable: true };

function requireThat(isSo: boolean): void {
  if (!isSo) throw rejected();
}

function rejected(): Error {
  return failed(422, 'the JSON patch cannot be applied', {});
}
