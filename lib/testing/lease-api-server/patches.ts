/** The three kinds of PATCH: from a Lease as JSON and a body to JSON that is then read as a Lease. */
import { isDeepStrictEqual } from 'node:util';
import { isObject, parseJson } from './lease-reader.js';
import { failed } from './status.js';

const MERGE = 'application/merge-patch+json';
const STRATEGIC = 'application/strategic-merge-patch+json';
const OPERATIONS = 'application/json-patch+json';

/**
 * What the patch makes of `lease`, which stays as it is.
 *
 * @throws StatusError 400 when it is not a patch, 413 when it is too large, 415 when it is of another type, 422 when it cannot
 * be applied
 */
export function applyPatch(lease: object, body: string, contentType: string): unknown {
  const type = contentType.split(';')[0]?.trim() ?? '';
  const accepted = [MERGE, STRATEGIC, OPERATIONS];
  if (!accepted.includes(type))
    throw failed(415, `the type of a PATCH must be one of ${accepted.join(', ')}`, {});
  const patch = parseJson(body);
  if (type === OPERATIONS) {
    if (!Array.isArray(patch)) throw failed(400, 'a JSON patch must be a list of operations');
    return applyOperations(lease, patch);
  }
  if (type === STRATEGIC && patch === null) return lease;
  if (!isObject(patch)) throw failed(400, 'a merge patch must be an object');
  return type === MERGE ? mergePatch(lease, patch) : strategicMerge(lease, patch);
}

/** RFC 7386. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  // A Map, because assigning to a name such as `__proto__` would do something else.
  const merged = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, mergePatch(merged.get(name), value));
  }
  return Object.fromEntries(merged);
}

/**
 * A strategic merge patch, as far as it is another than a merge patch for a Lease: owner references are merged by their uid,
 * finalizers are a set; `$patch` and `$deleteFromPrimitiveList/…` are directives. Of other directives nothing depends here.
 */
function strategicMerge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const { $patch: directive } = patch;
  if (directive === 'delete') return {};
  const merged = new Map(Object.entries(isObject(target) && directive !== 'replace' ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    const existing = merged.get(name);
    if (value === null) merged.delete(name);
    else if (name === '$deleteFromPrimitiveList/finalizers')
      merged.set(
        'finalizers',
        listOf(merged.get('finalizers')).filter((each) => !listOf(value).includes(each)),
      );
    else if (name.startsWith('$')) continue;
    else if (name === 'finalizers' && Array.isArray(value))
      merged.set(name, [...new Set([...listOf(existing), ...listOf(value)])]);
    else if (name === 'ownerReferences' && Array.isArray(value))
      merged.set(name, mergeOwners(listOf(existing), value));
    else merged.set(name, strategicMerge(existing, value));
  }
  return Object.fromEntries(merged);
}

function mergeOwners(existing: readonly unknown[], patch: readonly unknown[]): unknown[] {
  const uidOf = (owner: unknown): unknown => (isObject(owner) ? owner['uid'] : undefined);
  const byUid = new Map(existing.map((owner) => [uidOf(owner), owner]));
  for (const owner of patch) {
    const uid = uidOf(owner);
    if (isObject(owner) && owner['$patch'] === 'delete') byUid.delete(uid);
    else byUid.set(uid, strategicMerge(byUid.get(uid), owner));
  }
  return [...byUid.values()];
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The API server's limits: of operations, and of the characters that all copies of one patch come to. */
const MAX_OPERATIONS = 10_000;
const MAX_COPIED_LENGTH = 3_145_728;

type Tree = Record<string, unknown>;
type Path = readonly string[];

/** RFC 6902, with the API server's deviations: a value left out is null, and what is not there can be replaced. */
function applyOperations(lease: object, operations: readonly unknown[]): unknown {
  if (operations.length > MAX_OPERATIONS)
    throw failed(413, `a JSON patch may hold ${String(MAX_OPERATIONS)} operations`);
  const tree: Tree = { '': structuredClone(lease) };
  let copiedLength = 0;
  for (const operation of operations) {
    if (!isObject(operation)) throw failed(400, 'an operation of a JSON patch must be an object');
    const [path, from] = [pathOf(operation['path']), pathOf(operation['from'])];
    const value = operation['value'] ?? null;
    switch (operation['op']) {
      case 'test':
        if (!isDeepStrictEqual(valueAt(tree, path) ?? null, value)) throw rejected();
        break;
      case 'add':
        put(tree, path, value, true);
        break;
      case 'replace':
        put(tree, path, value, false);
        break;
      case 'remove':
        remove(tree, path);
        break;
      case 'move': {
        const moved = required(valueAt(tree, from));
        remove(tree, from);
        put(tree, path, moved, true);
        break;
      }
      case 'copy': {
        const copy = JSON.stringify(required(valueAt(tree, from)));
        copiedLength += copy.length;
        if (copiedLength > MAX_COPIED_LENGTH) throw rejected();
        put(tree, path, JSON.parse(copy), true);
        break;
      }
      default:
        throw rejected();
    }
  }
  return tree[''];
}

/** The names on the way to a value, that of the whole document, which is empty, among them. */
function pathOf(pointer: unknown): Path {
  if (pointer === undefined) return [''];
  if (typeof pointer !== 'string') throw failed(400, 'a pointer of a JSON patch must be a string');
  return ['', ...pointer.split('/').slice(1)].map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function valueAt(tree: Tree, path: Path): unknown {
  return path.reduce<unknown>((node, name) => {
    if (Array.isArray(node)) return node[Number(name)] as unknown;
    return isObject(node) && Object.hasOwn(node, name) ? node[name] : undefined;
  }, tree);
}

function put(tree: Tree, path: Path, value: unknown, isInsert: boolean): void {
  const parent = valueAt(tree, path.slice(0, -1));
  const name = path.at(-1) ?? '';
  if (Array.isArray(parent)) {
    const index = name === '-' && isInsert ? parent.length : Number(name);
    if (!Number.isInteger(index) || index < 0 || index > parent.length - (isInsert ? 0 : 1)) throw rejected();
    parent.splice(index, isInsert ? 0 : 1, value);
  } else if (isObject(parent)) {
    // Not an assignment, which for `__proto__` would change what the object inherits.
    Object.defineProperty(parent, name, { value, configurable: true, enumerable: true, writable: true });
  } else throw rejected();
}

function remove(tree: Tree, path: Path): void {
  required(valueAt(tree, path));
  const parent = valueAt(tree, path.slice(0, -1));
  const name = path.at(-1) ?? '';
  if (Array.isArray(parent)) parent.splice(Number(name), 1);
  else Reflect.deleteProperty(parent as object, name);
}

function required(value: unknown): unknown {
  if (value === undefined) throw rejected();
  return value;
}

function rejected(): Error {
  return failed(422, 'the JSON patch cannot be applied', {});
}
