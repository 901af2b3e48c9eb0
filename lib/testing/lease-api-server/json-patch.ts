/** JSON patches (RFC 6902), with the API server's deviations. */
import { deepEqual, member, sortedMembers, without, withMember } from './json-tree.js';
import { MAX_DEPTH, nodeToJson, type JsonNode } from './json-text.js';
import { patchRejected } from './status.js';
import { decode, type StructShape } from './typed-decoding.js';

interface Operation {
  readonly op?: string;
  readonly path?: string;
  readonly from?: string;
}

const text = { kind: 'string', name: 'string' } as const;

const operationShape: StructShape = {
  kind: 'struct',
  name: 'jsonPatchOp',
  typeName: 'handlers.jsonPatchOp',
  fields: [
    { name: 'op', shape: text },
    { name: 'path', shape: text },
    { name: 'from', shape: text },
    { name: 'value', shape: { kind: 'any' } },
  ],
};

/**
 * Applies a patch, which is a list.
 *
 * @throws DecodingError when what it lists are no operations
 * @throws StatusError 422
 */
export function jsonPatch(target: JsonNode, patch: readonly JsonNode[]): JsonNode {
  const operations = patch.map((node) => ({
    ...(decode(node, operationShape).value as Operation),
    // Left out is null, unlike in RFC 6902.
    value: member(node, 'value') ?? NULL,
  }));
  const copied = { length: 0 };
  return sortedMembers(
    operations.reduce((node, operation) => applyOperation(node, operation, copied), target),
  );
}

/** How much JSON the copies of one patch may come to: the API server's limit. */
const MAX_COPIED_LENGTH = 3_145_728;

const NULL: JsonNode = { kind: 'null' };

function applyOperation(
  target: JsonNode,
  operation: Operation & { readonly value: JsonNode },
  copied: { length: number },
): JsonNode {
  const { op, value } = operation;
  const path = parsePointer(operation.path);
  const from = parsePointer(operation.from);
  const seen = at(target, path);
  switch (op) {
    case 'test':
      if (!deepEqual(seen ?? NULL, value)) throw patchRejected();
      return target;
    case 'add':
      return put(target, path, value, 'add');
    case 'replace':
      // Unlike RFC 6902, the server replaces what is not there, too.
      return put(target, path, value, 'replace');
    case 'remove':
      required(seen);
      return put(target, path, undefined, 'remove');
    case 'move':
      return put(put(target, from, undefined, 'remove'), path, required(at(target, from)), 'add');
    case 'copy': {
      const copy = required(at(target, from));
      copied.length += nodeToJson(copy).length;
      if (copied.length > MAX_COPIED_LENGTH) throw patchRejected();
      return put(target, path, copy, 'add');
    }
    case undefined:
    default:
      throw patchRejected();
  }
}

function parsePointer(pointer = ''): string[] {
  const parts = pointer.split('/').slice(1);
  if (parts.length > MAX_DEPTH) throw patchRejected();
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
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
  const last = change === 'add' ? items.length : items.length - 1;
  if (!Number.isInteger(index) || index < 0 || index > last) throw patchRejected();
  const changed = items.toSpliced(index, change === 'add' ? 0 : 1, ...(value === undefined ? [] : [value]));
  return { kind: 'array', items: changed };
}
