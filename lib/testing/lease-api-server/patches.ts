/** The three kinds of PATCH: from a Lease as JSON and a body to JSON that is then read as a Lease. */
import { isDeepStrictEqual } from 'node:util';
import { isObject, parseJson } from './lease-reader.js';
import { failed } from './status.js';

const MERGE = 'application/merge-patch+json';
const STRATEGIC = 'application/strategic-merge-patch+json';
const OPERATIONS = 'application/json-patch+json';
const patchTypes = [MERGE, STRATEGIC, OPERATIONS] as const;

export type PatchType = (typeof patchTypes)[number];

/** @throws StatusError 415 */
export function requirePatchType(contentType = ''): PatchType {
  const type = patchTypes.find((each) => each === contentType.split(';')[0]?.trim());
  if (type === undefined) throw failed(415, `a PATCH must be of type ${patchTypes.join(', ')}`, {});
  return type;
}

/**
 * What the patch makes of `lease`, which stays as it is.
 *
 * @throws StatusError 400 when it is not a patch, 413 when it is too large, 422 when it cannot be applied
 */
export function applyPatch(lease: object, body: string, type: PatchType): unknown {
  const patch = parseJson(body);
  if (type === OPERATIONS) {
    if (!Array.isArray(patch)) throw failed(400, 'a JSON patch must be a list of operations');
    return applyOperations(lease, patch);
  }
  if (type === STRATEGIC && patch === null) return lease;
  if (!isObject(patch)) throw failed(400, 'a merge patch must be an object');
  return merge(lease, patch, type === STRATEGIC ? listMerges : NO_LISTS);
}

type ListMerge = (existing: readonly unknown[], patch: readonly unknown[]) => unknown[];

/** RFC 7386, except for the lists that are merged instead of replaced. */
function merge(target: unknown, patch: unknown, lists: Readonly<Record<string, ListMerge>>): unknown {
  if (!isObject(patch)) return patch;
  // A Map, because an assignment to `__proto__` would change what the object inherits.
  const merged = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    const mergeList = Object.hasOwn(lists, name) ? lists[name] : undefined;
    const field = mergeList === undefined ? name : name.replace(DELETION, '');
    const existing = merged.get(field);
    if (value === null) merged.delete(name);
    else if (mergeList !== undefined && Array.isArray(value))
      merged.set(field, mergeList(Array.isArray(existing) ? existing : [], value));
    else merged.set(name, merge(existing, value, lists));
  }
  return Object.fromEntries([...merged].filter(([name]) => lists === NO_LISTS || !name.startsWith('$')));
}

const NO_LISTS: Readonly<Record<string, ListMerge>> = {};
const DELETION = '$deleteFromPrimitiveList/';

/** What is special about a Lease in strategic merge patches: finalizers are a set, and owners are merged by their uid. */
const listMerges: Readonly<Record<string, ListMerge>> = {
  finalizers: (existing, patch) => [...new Set([...existing, ...patch])],
  [`${DELETION}finalizers`]: (existing, patch) => existing.filter((name) => !patch.includes(name)),
  ownerReferences: (existing, patch) => {
    const uidOf = (owner: unknown): unknown => (isObject(owner) ? owner['uid'] : undefined);
    const byUid = new Map(existing.map((owner) => [uidOf(owner), owner]));
    for (const owner of patch) {
      const isDeletion = isObject(owner) && owner['$patch'] === 'delete';
      if (isDeletion) byUid.delete(uidOf(owner));
      else byUid.set(uidOf(owner), merge(byUid.get(uidOf(owner)), owner, listMerges));
    }
    return [...byUid.values()];
  },
};

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
        change(tree, path, 0, [value]);
        break;
      case 'replace':
        change(tree, path, 1, [value]);
        break;
      case 'remove':
        required(valueAt(tree, path));
        change(tree, path, 1, []);
        break;
      case 'move': {
        const moved = required(valueAt(tree, from));
        change(tree, from, 1, []);
        change(tree, path, 0, [moved]);
        break;
      }
      case 'copy': {
        const copy = JSON.stringify(required(valueAt(tree, from)));
        copiedLength += copy.length;
        if (copiedLength > MAX_COPIED_LENGTH) throw rejected();
        change(tree, path, 0, [JSON.parse(copy)]);
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

/** Puts a value there, or removes the one that is there, or both. */
function change(tree: Tree, path: Path, removed: 0 | 1, added: readonly unknown[]): void {
  const parent = valueAt(tree, path.slice(0, -1));
  const name = path.at(-1) ?? '';
  if (Array.isArray(parent)) {
    const index = name === '-' && removed === 0 ? parent.length : Number(name);
    if (!Number.isInteger(index) || index < 0 || index + removed > parent.length) throw rejected();
    parent.splice(index, removed, ...added);
  } else if (!isObject(parent)) throw rejected();
  else if (added.length === 0) Reflect.deleteProperty(parent, name);
  else {
    // Not an assignment, because of `__proto__` again.
    const [value] = added;
    Object.defineProperty(parent, name, { value, configurable: true, enumerable: true, writable: true });
  }
}

function required(value: unknown): unknown {
  if (value === undefined) throw rejected();
  return value;
}

function rejected(): Error {
  return failed(422, 'the JSON patch cannot be applied', {});
}
