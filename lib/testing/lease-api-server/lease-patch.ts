/** The three kinds of PATCH that are understood, as functions from JSON to JSON. */
import { deepEqual, member, without, withMember } from './json-tree.js';
import { parseJson, toValue, type JsonNode } from './json-text.js';
import { badRequest, patchRejected } from './status.js';
import { strategicMerge } from './strategic-merge.js';

/** A kind of PATCH, by its content type. */
export type PatchType =
  'application/merge-patch+json' | 'application/strategic-merge-patch+json' | 'application/json-patch+json';

/** The real server has apply patches, too. */
const patchTypes: readonly PatchType[] = [
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/json-patch+json',
];

/** The type of a PATCH, if it is understood. */
export function asPatchType(contentType: string): PatchType | undefined {
  const type = contentType.split(';')[0]?.trim();
  return patchTypes.find((known) => known === type);
}

/**
 * Applies a patch.
 *
 * @throws StatusError 400, 422
 */
export function applyPatch(target: JsonNode, body: string, type: PatchType): JsonNode {
  const patch = parsePatch(body, type);
  switch (type) {
    case 'application/merge-patch+json':
      return mergePatch(target, patch);
    case 'application/strategic-merge-patch+json':
      return strategicMerge(target, patch);
    case 'application/json-patch+json':
      return jsonPatch(target, patch);
  }
}

function parsePatch(body: string, type: PatchType): JsonNode {
  const prefix = type === 'application/strategic-merge-patch+json' ? '' : 'error decoding patch: ';
  try {
    const patch = parseJson(body);
    const expected = type === 'application/json-patch+json' ? 'array' : 'object';
    if (patch.kind === expected) return patch;
    const goType = expected === 'array' ? '[]handlers.jsonPatchOp' : 'map[string]interface {}';
    throw new Error(`json: cannot unmarshal ${patch.kind} into Go value of type ${goType}`);
  } catch (error) {
    throw badRequest(prefix + (error instanceof Error ? error.message : String(error)));
  }
}

/** RFC 7386. */
function mergePatch(target: JsonNode, patch: JsonNode): JsonNode {
  if (patch.kind !== 'object') return patch;
  let result: JsonNode = target.kind === 'object' ? target : { kind: 'object', members: [] };
  for (const { name, value } of patch.members) {
    const merged = mergePatch(member(result, name) ?? { kind: 'null' }, value);
    result = merged.kind === 'null' ? without(result, name) : withMember(result, name, merged);
  }
  return result;
}

interface Operation {
  readonly op: string;
  readonly path: readonly string[];
  readonly from: readonly string[];
  readonly value: JsonNode | undefined;
}

/** RFC 6902. */
function jsonPatch(target: JsonNode, patch: JsonNode): JsonNode {
  if (patch.kind !== 'array') throw patchRejected();
  return patch.items.map(asOperation).reduce(applyOperation, target);
}

function asOperation(node: JsonNode): Operation {
  const { op, path, from } = toValue(node) as { op?: unknown; path?: unknown; from?: unknown };
  return { op: String(op), path: parsePointer(path), from: parsePointer(from), value: member(node, 'value') };
}

function parsePointer(pointer: unknown): string[] {
  if (typeof pointer !== 'string') return [];
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function applyOperation(target: JsonNode, { op, path, from, value }: Operation): JsonNode {
  const seen = at(target, path);
  switch (op) {
    case 'test':
      if (seen === undefined || value === undefined || !deepEqual(seen, value)) throw patchRejected();
      return target;
    case 'add':
      return put(target, path, required(value), 'add');
    case 'replace':
      // Unlike RFC 6902, the server replaces what is not there, too.
      return put(target, path, required(value), 'replace');
    case 'remove':
      required(seen);
      return put(target, path, undefined, 'remove');
    case 'move':
      return put(put(target, from, undefined, 'remove'), path, required(at(target, from)), 'add');
    case 'copy':
      return put(target, path, required(at(target, from)), 'add');
    default:
      throw patchRejected();
  }
}

function required(node: JsonNode | undefined): JsonNode {
  if (node === undefined) throw patchRejected();
  return node;
}

function at(node: JsonNode, [name, ...rest]: readonly string[]): JsonNode | undefined {
  if (name === undefined) return node;
  const below = node.kind === 'array' ? node.items[Number(name)] : member(node, name);
  return below === undefined ? undefined : at(below, rest);
}

type Change = 'add' | 'replace' | 'remove';

/** The tree with what is at the path changed; what leads there must exist. */
function put(
  node: JsonNode,
  [name, ...rest]: readonly string[],
  value: JsonNode | undefined,
  change: Change,
): JsonNode {
  if (name === undefined) return required(value);
  if (rest.length > 0) {
    const below = put(required(at(node, [name])), rest, value, change);
    return node.kind === 'array'
      ? withItem(node.items, name, below, 'replace')
      : withMember(node, name, below);
  }
  if (node.kind === 'array') return withItem(node.items, name, value, change);
  if (node.kind !== 'object') throw patchRejected();
  return value === undefined ? without(node, name) : withMember(node, name, value);
}

function withItem(
  items: readonly JsonNode[],
  name: string,
  value: JsonNode | undefined,
  change: Change,
): JsonNode {
  const index = name === '-' && change === 'add' ? items.length : Number(name);
  if (!Number.isInteger(index) || index < 0 || index > items.length) throw patchRejected();
  const changed = items.toSpliced(index, change === 'add' ? 0 : 1, ...(value === undefined ? [] : [value]));
  return { kind: 'array', items: changed };
}
