/** What a request asks for, told from its method, path and query alone. */

/** What is done to a Lease or to several. */
export type LeaseVerb =
  'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

/** Who asks. */
export interface RequestUser {
  /** The name the API server knows the user by; `system:anonymous` without a token. */
  readonly user: string;
  /** The bearer token as it was sent. */
  readonly token: string | undefined;
}

/** A request for Leases. */
export interface LeaseTarget {
  readonly kind: 'leases';
  /** Undefined when Leases do not know the method. */
  readonly verb: LeaseVerb | undefined;
  /** `''`: of every namespace. */
  readonly namespace: string;
  /** `''`: none in particular. For list and watch the name the field selector asks for. */
  readonly name: string;
  /** The name stands in the path. */
  readonly named: boolean;
}

/** A request for anything. */
export type Target = LeaseTarget | { readonly kind: 'other'; readonly path: string; readonly method: string };

const itemVerbs: Readonly<Record<string, LeaseVerb>> = {
  GET: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

const collectionVerbs: Readonly<Record<string, LeaseVerb>> = {
  GET: 'list',
  POST: 'create',
  DELETE: 'deletecollection',
};

/** Tells what `method` on `url` is about. */
export function targetOf(method: string, url: URL): Target {
  const match = /^\/apis\/coordination\.k8s\.io\/v1\/(?:namespaces\/([^/]+)\/)?leases(?:\/([^/]+))?\/?$/.exec(
    url.pathname,
  );
  const other: Target = { kind: 'other', path: url.pathname, method };
  if (match === null) return other;
  const namespace = decoded(match[1] ?? '');
  const inPath = decoded(match[2] ?? '');
  if (namespace === undefined || inPath === undefined || (namespace === '' && inPath !== '')) return other;
  if (inPath !== '') return { kind: 'leases', verb: itemVerbs[method], namespace, name: inPath, named: true };
  let verb = collectionVerbs[method];
  if (verb === 'list' && isTrue(url.searchParams.get('watch'))) verb = 'watch';
  if (namespace === '' && verb !== 'list' && verb !== 'watch') verb = undefined;
  return { kind: 'leases', verb, namespace, name: selectedName(url.searchParams, verb), named: false };
}

/** Undefined: it is no text. */
function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** A boolean of the query: whatever is there is true, unless it says otherwise. */
export function isTrue(value: string | null): boolean {
  return value !== null && !['false', '0'].includes(value.toLowerCase());
}

/** A list or watch of one name by field selector counts as a request for that name. */
function selectedName(query: URLSearchParams, verb: LeaseVerb | undefined): string {
  if (verb !== 'list' && verb !== 'watch') return '';
  const terms = (query.get('fieldSelector') ?? '').split(',');
  const names = terms.flatMap((term) => /^metadata\.name==?([^=].*)$/.exec(term)?.[1] ?? []);
  return names[0] ?? '';
}
