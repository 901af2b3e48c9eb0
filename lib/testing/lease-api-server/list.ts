/** Lists of Leases: whole, or in pages of one snapshot. */
import { API_VERSION, type StoredLease } from './lease-object.js';
import { isObject } from './lease-reader.js';
import type { ListQuery } from './list-query.js';
import { badRequest, expired } from './status.js';
import type { LeaseStore } from './store.js';

/** A LeaseList. Its items lack kind and apiVersion, as those of the API server do. */
interface LeaseList {
  readonly kind: 'LeaseList';
  readonly apiVersion: typeof API_VERSION;
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  readonly items: readonly Pick<StoredLease, 'metadata' | 'spec'>[];
}

/** Where the next page begins, and at which version. It is in the continue token. */
interface Continuation {
  readonly v: typeof TOKEN_VERSION;
  readonly rv: number;
  readonly start: string;
}

const TOKEN_VERSION = 'meta.k8s.io/v1';

/**
 * @returns what is listed, as objects and as the answer.
 * @throws StatusError 400, 410
 */
export function listLeases(
  store: LeaseStore,
  query: ListQuery,
): { readonly leases: readonly StoredLease[]; readonly list: LeaseList } {
  const from = query.continueToken === '' ? undefined : parseToken(query.continueToken);
  const revision = from?.rv ?? (query.isExact ? query.resourceVersion : store.revision);
  if (revision < store.oldestRevision)
    throw expired(
      'the version of the list is too old: start a new list without continue and resourceVersion',
    );
  const all = revision === store.revision ? store.list() : store.listAt(revision);
  const rest = all.filter((lease) => query.selects(lease) && positionOf(lease) >= (from?.start ?? ''));
  const leases = query.limit > 0 ? rest.slice(0, query.limit) : rest;
  const next = rest[leases.length];
  const metadata = {
    resourceVersion: String(revision),
    ...(next !== undefined && {
      continue: tokenOf({ v: TOKEN_VERSION, rv: revision, start: positionOf(next) }),
    }),
    ...(next !== undefined && !query.hasSelector && { remainingItemCount: rest.length - leases.length }),
  };
  const items = leases.map((lease) => ({ metadata: lease.metadata, spec: lease.spec }));
  return { leases, list: { kind: 'LeaseList', apiVersion: API_VERSION, metadata, items } };
}

function positionOf({ metadata }: StoredLease): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function tokenOf(continuation: Continuation): string {
  return Buffer.from(JSON.stringify(continuation)).toString('base64url');
}

function parseToken(token: string): Continuation {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    const { v, rv, start } = isObject(value) ? value : {};
    if (v === TOKEN_VERSION && typeof rv === 'number' && typeof start === 'string') return { v, rv, start };
  } catch {
    // Answered below.
  }
  throw badRequest('invalid continue token');
}
