/**
 * The strategic merge patch, as far as a Lease has lists: owner references are merged by uid, finalizers as a set.
 * `$patch: delete | replace` and `$deleteFromPrimitiveList/…` are understood; orders (`$setElementOrder/…`) are not kept.
 */
import { member, membersOf, objectOf, without } from './json-tree.js';
import type { JsonNode } from './json-text.js';
import { DecodingError } from './typed-decoding.js';

/** Lists that are merged instead of replaced, and by which name of their items (none: the items themselves). */
const mergedLists: Readonly<Record<string, string | undefined>> = {
  ownerReferences: 'uid',
  finalizers: undefined,
};

const DELETION_PREFIX = '$deleteFromPrimitiveList/';

/** Applies a strategic merge patch. */
export function strategicMerge(target: JsonNode, patch: JsonNode): JsonNode {
  if (patch.kind !== 'object') return patch;
  const directive = textOf(member(patch, '$patch'));
  if (directive === 'replace') return without(patch, '$patch');
  if (directive === 'delete') return { kind: 'object', members: [] };
  const result = membersOf(target);
  for (const { name, value } of patch.members) mergeMember(result, name, value);
  return objectOf(result);
}

function mergeMember(target: Map<string, JsonNode>, name: string, patch: JsonNode): void {
  if (name.startsWith(DELETION_PREFIX)) {
    const list = name.slice(DELETION_PREFIX.length);
    const left = itemsOf(target.get(list)).filter((item) => !hasText(itemsOf(patch), item));
    target.set(list, { kind: 'array', items: left });
    return;
  }
  if (name.startsWith('$')) return;
  const existing = target.get(name);
  if (patch.kind === 'null') target.delete(name);
  else if (patch.kind === 'array' && Object.hasOwn(mergedLists, name)) {
    target.set(name, mergeList(itemsOf(existing), patch.items, mergedLists[name]));
  } else target.set(name, strategicMerge(existing ?? { kind: 'null' }, patch));
}

function mergeList(
  target: readonly JsonNode[],
  patch: readonly JsonNode[],
  key: string | undefined,
): JsonNode {
  if (key === undefined)
    return { kind: 'array', items: [...target, ...patch.filter((item) => !hasText(target, item))] };
  let items = [...target];
  for (const item of patch) {
    const id = textOf(member(item, key));
    const index = items.findIndex((each) => textOf(member(each, key)) === id);
    if (textOf(member(item, '$patch')) === 'delete') items = items.filter((_, each) => each !== index);
    else if (index < 0) items.push(item);
    else items[index] = strategicMerge(items[index] as JsonNode, item);
  }
  return { kind: 'array', items };
}

function itemsOf(node: JsonNode | undefined): readonly JsonNode[] {
  return node?.kind === 'array' ? node.items : [];
}

function hasText(items: readonly JsonNode[], wanted: JsonNode): boolean {
  return items.some((item) => textOf(item) !== undefined && textOf(item) === textOf(wanted));
}

function textOf(node: JsonNode | undefined): string | undefined {
  return node?.kind === 'string' ? node.value : undefined;
}

/** A value as Go's `%+v` prints it: the server shows strategic patches this way. */
export function goMap(node: JsonNode): string {
  switch (node.kind) {
    case 'object': {
      const members = node.members.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      return `map[${members.map(({ name, value }) => `${name}:${goMap(value)}`).join(' ')}]`;
    }
    case 'array':
      return `[${node.items.map(goMap).join(' ')}]`;
    case 'null':
      return '<nil>';
    case 'number':
      return node.literal;
    case 'bool':
    case 'string':
      return String(node.value);
  }
}

/** What the server says of a wrong type after a strategic merge, which it does not read as JSON again. */
export function unstructuredComplaint(error: Error): string {
  if (!(error instanceof DecodingError)) return error.message;
  const { seen, wanted } = error;
  if (!seen.startsWith('number')) return `unrecognized type: ${wanted}`;
  return `cannot convert ${/[.eE]/.test(seen) ? 'float64' : 'int64'} to ${wanted}`;
}
