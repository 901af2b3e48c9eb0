/** Lists of Leases: whole, in pages of one snapshot, and for deletion. */
import { JsonSyntaxError, parseJson, toValue } from './json-text.js';
import { API_VERSION, type StoredLease } from './lease-object.js';
import type { LeaseStore } from './lease-store.js';
import type { ListOptions } from './list-options.js';
import { badRequest, expired } from './status.js';

/** A LeaseList; its items lack kind and apiVersion, as the server's do. */
export interface LeaseList {
  readonly kind: 'LeaseList';
  readonly apiVersion: typeof API_VERSION;
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  readonly items: readonly Pick<StoredLease, 'metadata' | 'spec'>[];
}

/** What was listed, as objects and as the answer. */
export interface Listing {
  readonly leases: readonly StoredLease[];
  readonly list: LeaseList;
}

const VERSION = 'meta.k8s.io/v1';

/** Where the next page begins, and in which state of the world. */
interface Continuation {
  readonly v: typeof VERSION;
  readonly rv: number;
  readonly start: string;
}

/** The server's words for a continue token, or an exact version, from before its memory. */
const TOO_OLD =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.';

/** @throws StatusError 400, 410 */
export function listLeases(store: LeaseStore, options: ListOptions): Listing {
  const from = options.continueToken === '' ? undefined : parseToken(options.continueToken);
  if (from !== undefined && from.rv < store.oldestRevision) throw expired(TOO_OLD);
  const revision = from?.rv ?? exactRevision(store, options) ?? store.revision;
  const all = (revision === store.revision ? store.list() : store.listAt(revision)).filter(options.selects);
  const rest = from === undefined ? all : all.filter((lease) => positionOf(lease) >= from.start);
  const leases = options.limit > 0 ? rest.slice(0, options.limit) : rest;
  const next = rest[leases.length];
  const page =
    next === undefined ? {} : { continue: tokenOf({ v: VERSION, rv: revision, start: positionOf(next) }) };
  const remaining =
    next === undefined || options.hasSelector ? {} : { remainingItemCount: rest.length - leases.length };
  return {
    leases,
    list: {
      kind: 'LeaseList',
      apiVersion: API_VERSION,
      metadata: { resourceVersion: String(revision), ...page, ...remaining },
      items: leases.map(({ metadata, spec }) => ({ metadata, spec })),
    },
  };
}

function exactRevision(
  store: LeaseStore,
  { resourceVersion, resourceVersionMatch }: ListOptions,
): number | undefined {
  if (resourceVersionMatch !== 'Exact' || resourceVersion === undefined) return undefined;
  if (resourceVersion < store.oldestRevision) {
    throw expired(`The resourceVersion for the provided list is too old.`);
  }
  return resourceVersion;
}

function positionOf({ metadata }: StoredLease): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function tokenOf(continuation: Continuation): string {
  return Buffer.from(JSON.stringify(continuation)).toString('base64url');
}

function parseToken(token: string): Continuation {
  const prefix = 'invalid continue token: continue key is not valid: ';
  try {
    const {
      v = '',
      rv,
      start,
    } = toValue(parseJson(Buffer.from(token, 'base64url').toString('latin1'))) as Partial<
      Record<keyof Continuation, unknown>
    >;
    if (v === VERSION && typeof rv === 'number' && typeof start === 'string') return { v, rv, start };
    throw badRequest(`${prefix}server does not recognize this encoded version ${String(v)}`);
  } catch (error) {
    throw error instanceof JsonSyntaxError ? badRequest(prefix + error.message) : error;
  }
}
