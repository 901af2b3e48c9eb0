/** Who wrote which field: metadata.managedFields, as the API server keeps it for plain (not applied) writes. */
import { API_VERSION, type FieldTree, type LeaseObject, type ManagedFieldsEntry } from './lease-object.js';

/**
 * The entries after `manager` turned `previous` into `next`: it owns what it changed, others lose that and what is gone.
 * Undefined: nobody is recorded, because a client cleared the list.
 *
 * @param sent the entries the client sent; none: those of `previous` stay.
 */
export function updateManagedFields(
  previous: LeaseObject | undefined,
  next: LeaseObject,
  sent: readonly ManagedFieldsEntry[] | undefined,
  manager: string,
  time: string,
): readonly ManagedFieldsEntry[] | undefined {
  const cleared = sent?.every((entry) => Object.keys(entry).length === 0) === true;
  const entries = cleared ? [] : (sent ?? previous?.metadata.managedFields ?? []);
  if (previous !== undefined && entries.length === 0) return undefined;
  const before = leavesOf(previous);
  const after = leavesOf(next);
  const changed = new Set(
    [...after].filter(([path, value]) => before.get(path) !== value).map(([path]) => path),
  );
  const isOwn = (entry: ManagedFieldsEntry): boolean =>
    entry.manager === manager && entry.operation === 'Update';
  const others = entries
    .filter((entry) => !isOwn(entry))
    .map((entry) =>
      withPaths(
        entry,
        pathsOf(entry.fieldsV1).filter((path) => after.has(path) && !changed.has(path)),
      ),
    );
  const own = entries.find(isOwn);
  const ownPaths = new Set([...pathsOf(own?.fieldsV1).filter((path) => after.has(path)), ...changed]);
  const stamp = changed.size > 0 || own?.time === undefined ? time : own.time;
  const mine: ManagedFieldsEntry = {
    manager,
    operation: 'Update',
    apiVersion: API_VERSION,
    time: stamp,
    fieldsType: 'FieldsV1',
  };
  const all = [...others, withPaths(mine, [...ownPaths])].filter(({ fieldsV1 }) => fieldsV1 !== undefined);
  return all.length === 0 ? undefined : all;
}

const SEPARATOR = '\n';

/** The value of every field of a Lease that can be owned, by its path. */
function leavesOf(lease: LeaseObject | undefined): Map<string, string> {
  const leaves = new Map<string, string>();
  if (lease === undefined) return leaves;
  const { generateName, labels, annotations, ownerReferences = [], finalizers = [] } = lease.metadata;
  if (generateName !== undefined) leaves.set(path('f:metadata', 'f:generateName'), generateName);
  const maps = { labels, annotations };
  for (const [field, map] of Object.entries(maps)) {
    if (map !== undefined) leaves.set(path('f:metadata', `f:${field}`, '.'), '');
    for (const [key, value] of Object.entries(map ?? {})) {
      leaves.set(path('f:metadata', `f:${field}`, `f:${key}`), value);
    }
  }
  for (const owner of ownerReferences) {
    const key = `k:${JSON.stringify({ uid: owner.uid })}`;
    leaves
      .set(path('f:metadata', 'f:ownerReferences', '.'), '')
      .set(path('f:metadata', 'f:ownerReferences', key), JSON.stringify(owner));
  }
  for (const name of finalizers) {
    leaves
      .set(path('f:metadata', 'f:finalizers', '.'), '')
      .set(path('f:metadata', 'f:finalizers', `v:${JSON.stringify(name)}`), '');
  }
  for (const [field, value] of Object.entries(lease.spec)) {
    leaves.set(path('f:spec', `f:${field}`), JSON.stringify(value));
  }
  return leaves;
}

function path(...names: readonly string[]): string {
  return names.join(SEPARATOR);
}

function pathsOf(tree: FieldTree | undefined, prefix: readonly string[] = []): string[] {
  return Object.entries(tree ?? {}).flatMap(([name, below]) => {
    const here = [...prefix, name];
    return Object.keys(below).length === 0 ? [path(...here)] : pathsOf(below, here);
  });
}

interface GrowingTree {
  [name: string]: GrowingTree;
}

function withPaths(entry: ManagedFieldsEntry, paths: readonly string[]): ManagedFieldsEntry {
  // Without a prototype: a name such as `__proto__` is a name like any other.
  const tree = Object.create(null) as GrowingTree;
  for (const names of [...paths].sort().map((each) => each.split(SEPARATOR))) {
    let here = tree;
    for (const name of names) here = here[name] ??= Object.create(null) as GrowingTree;
  }
  const { fieldsV1: _replaced, ...rest } = entry;
  return paths.length === 0 ? rest : { ...rest, fieldsV1: tree };
}
