/** Who wrote which field: metadata.managedFields, as the API server keeps it for writes that are not applied. */
import { API_VERSION, type FieldTree, type LeaseObject, type ManagedFieldsEntry } from './lease-object.js';

/**
 * The entries after `manager` turned `previous` into `next`: it owns what it changed, others lose that and what is gone.
 * Undefined when nothing is recorded, because a client cleared the list.
 *
 * @param sent the entries that the client sent; without any those of `previous` stay.
 */
export function updateManagedFields(
  previous: LeaseObject | undefined,
  next: LeaseObject,
  sent: readonly ManagedFieldsEntry[] | undefined,
  manager: string,
  time: string,
): readonly ManagedFieldsEntry[] | undefined {
  const isCleared = sent?.every((entry) => Object.keys(entry).length === 0) === true;
  const entries = isCleared ? [] : (sent ?? previous?.metadata.managedFields ?? []);
  if (previous !== undefined && entries.length === 0) return undefined;
  const before = leavesOf(previous);
  const after = leavesOf(next);
  const changed = [...after.keys()].filter((path) => before.get(path) !== after.get(path));
  const isOwn = (entry: ManagedFieldsEntry): boolean =>
    entry.manager === manager && entry.operation === 'Update';
  const left = (entry: ManagedFieldsEntry | undefined): string[] =>
    pathsOf(entry?.fieldsV1).filter((path) => after.has(path));
  const own = entries.find(isOwn);
  const taken = new Set(changed);
  const others = entries
    .filter((entry) => !isOwn(entry))
    .map((entry) => ({ ...entry, fieldsV1: treeOf(left(entry).filter((path) => !taken.has(path))) }));
  const mine = {
    manager,
    operation: 'Update',
    apiVersion: API_VERSION,
    time: changed.length > 0 ? time : (own?.time ?? time),
    fieldsType: 'FieldsV1',
    fieldsV1: treeOf([...left(own), ...changed]),
  };
  const all = [...others, mine].filter(({ fieldsV1 }) => Object.keys(fieldsV1).length > 0);
  return all.length === 0 ? undefined : all;
}

/** The value of each field that can be owned, by its path: the names on the way, as JSON. */
function leavesOf(lease: LeaseObject | undefined): ReadonlyMap<string, string> {
  const leaves = new Map<string, string>();
  const { generateName, labels, annotations, ownerReferences = [], finalizers = [] } = lease?.metadata ?? {};
  if (generateName !== undefined) leaves.set(pathOf('f:metadata', 'f:generateName'), generateName);
  const named = (texts = {}): [string, string][] =>
    Object.entries(texts).map(([key, text]) => [`f:${key}`, text as string]);
  const groups: Readonly<Record<string, (readonly [key: string, value: string])[]>> = {
    'f:labels': named(labels),
    'f:annotations': named(annotations),
    'f:ownerReferences': ownerReferences.map((owner) => [
      `k:${JSON.stringify({ uid: owner.uid })}`,
      JSON.stringify(owner),
    ]),
    'f:finalizers': finalizers.map((name) => [`v:${JSON.stringify(name)}`, '']),
  };
  for (const [field, items] of Object.entries(groups)) {
    if (items.length > 0) leaves.set(pathOf('f:metadata', field, '.'), '');
    for (const [key, value] of items) leaves.set(pathOf('f:metadata', field, key), value);
  }
  for (const [field, value] of Object.entries(lease?.spec ?? {})) {
    leaves.set(pathOf('f:spec', `f:${field}`), JSON.stringify(value));
  }
  return leaves;
}

function pathOf(...names: readonly string[]): string {
  return JSON.stringify(names);
}

function pathsOf(tree: FieldTree = {}, prefix: readonly string[] = []): string[] {
  return Object.entries(tree).flatMap(([name, below]) => {
    const names = [...prefix, name];
    return Object.keys(below).length === 0 ? [pathOf(...names)] : pathsOf(below, names);
  });
}

interface GrowingTree {
  [name: string]: GrowingTree;
}

function treeOf(paths: readonly string[]): FieldTree {
  // Without a prototype, so that `__proto__` is a name like any other.
  const tree = Object.create(null) as GrowingTree;
  for (const path of [...paths].sort()) {
    let here = tree;
    for (const name of JSON.parse(path) as string[]) here = here[name] ??= Object.create(null) as GrowingTree;
  }
  return tree;
}
