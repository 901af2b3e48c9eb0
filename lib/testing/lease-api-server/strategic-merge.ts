/**
 * The strategic merge patch, as far as a Lease has lists: owner references are merged by uid, finalizers as a set.
 * `$patch: delete | replace` and `$deleteFromPrimitiveList/…` are understood; orders (`$setElementOrder/…`) are not kept.
 */
import { member, without, withMember } from './json-tree.js';
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
  let result: JsonNode = target.kind === 'object' ? target : { kind: 'object', members: [] };
  for (const { name, value } of patch.members) result = mergeMember(result, name, value);
  return result;
}

function mergeMember(target: JsonNode, name: string, patch: JsonNode): JsonNode {
  if (name.startsWith(DELETION_PREFIX)) {
    const list = name.slice(DELETION_PREFIX.length);
    const left = itemsOf(member(target, list)).filter((item) => !hasText(itemsOf(patch), item));
    return withMember(target, list, { kind: 'array', items: left });
  }
  if (name.startsWith('$')) return target;
  if (patch.kind === 'null') return without(target, name);
  const existing = member(target, name);
  if (patch.kind === 'array' && Object.hasOwn(mergedLists, name)) {
    return withMember(target, name, mergeList(itemsOf(existing), patch.items, mergedLists[name]));
  }
  return withMember(target, name, strategicMerge(existing ?? { kind: 'null' }, patch));
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
