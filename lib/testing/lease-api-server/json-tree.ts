/** Looking into JSON trees and changing them, by copies. */
import type { JsonNode } from './json-text.js';

/** The value of that name, the last one if there are several. */
export function member(node: JsonNode, name: string): JsonNode | undefined {
  return node.kind === 'object' ? node.members.findLast((each) => each.name === name)?.value : undefined;
}

/** The object without that name. */
export function without(node: JsonNode, name: string): JsonNode {
  return node.kind === 'object'
    ? { kind: 'object', members: node.members.filter((each) => each.name !== name) }
    : node;
}

/** The object with that value, in the place of an earlier one or at the end. */
export function withMember(node: JsonNode, name: string, value: JsonNode): JsonNode {
  if (node.kind !== 'object') return node;
  if (member(node, name) === undefined)
    return { kind: 'object', members: [...node.members, { name, value }] };
  return {
    kind: 'object',
    members: node.members.map((each) => (each.name === name ? { name, value } : each)),
  };
}

/** Whether two trees say the same; the order of names does not count. */
export function deepEqual(a: JsonNode, b: JsonNode): boolean {
  if (a.kind === 'number' && b.kind === 'number') return Number(a.literal) === Number(b.literal);
  if (a.kind === 'array' && b.kind === 'array') {
    return (
      a.items.length === b.items.length && a.items.every((item, index) => isEqualTo(item, b.items[index]))
    );
  }
  if (a.kind === 'object' && b.kind === 'object') {
    return (
      a.members.length === b.members.length &&
      a.members.every(({ name, value }) => isEqualTo(value, member(b, name)))
    );
  }
  if (a.kind === 'null') return b.kind === 'null';
  return a.kind === b.kind && 'value' in a && 'value' in b && a.value === b.value;
}

function isEqualTo(a: JsonNode, b: JsonNode | undefined): boolean {
  return b !== undefined && deepEqual(a, b);
}

/** The values of an object by their names, the last one of each. */
export function membersOf(node: JsonNode): Map<string, JsonNode> {
  return new Map(node.kind === 'object' ? node.members.map(({ name, value }) => [name, value]) : []);
}

/** The other way round. */
export function objectOf(members: ReadonlyMap<string, JsonNode>): JsonNode {
  return { kind: 'object', members: [...members].map(([name, value]) => ({ name, value })) };
}

/** The object with its names in order; what they name stays as it is. */
export function sortedMembers(node: JsonNode): JsonNode {
  if (node.kind !== 'object') return node;
  return { kind: 'object', members: node.members.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** What the server says about names that come twice in one object, anywhere. */
export function duplicateNames(node: JsonNode, path = ''): string[] {
  if (node.kind === 'array') {
    return node.items.flatMap((item, index) => duplicateNames(item, `${path}[${String(index)}]`));
  }
  if (node.kind !== 'object') return [];
  const seen = new Set<string>();
  return node.members.flatMap(({ name, value }) => {
    const here = path === '' ? name : `${path}.${name}`;
    const isAgain = seen.has(name);
    seen.add(name);
    return [...(isAgain ? [`duplicate field "${here}"`] : []), ...duplicateNames(value, here)];
  });
}
