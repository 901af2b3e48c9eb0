/** What a request asks for, told from its method and URL, and the documents by which clients find the Leases. */
import { GROUP, failed, objectReply, textReply, type Reply } from './status.js';

/** What is done to a Lease or to several. */
export type LeaseVerb =
  'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

/** A request for Leases. */
export interface LeaseTarget {
  readonly kind: 'leases';
  /** Undefined when there is no such method on Leases. */
  readonly verb: LeaseVerb | undefined;
  /** What RBAC calls the method. */
  readonly permission: string;
  /** `''`: every namespace. */
  readonly namespace: string;
  /** `''`: no Lease in particular. For list and watch the name in the field selector. */
  readonly name: string;
}

/** A request for anything. */
export type Target = LeaseTarget | { readonly kind: 'other'; readonly path: string };

const LEASES = /^\/apis\/coordination\.k8s\.io\/v1\/(?:namespaces\/([^/]+)\/)?leases(?:\/([^/]+))?\/?$/;

/** Tells what `method` on `url` asks for. */
export function targetOf(method: string, url: URL): Target {
  const match = LEASES.exec(url.pathname);
  const [namespace, inPath] = [decoded(match?.[1]), decoded(match?.[2])];
  const isOther = match === null || namespace === undefined || inPath === undefined;
  if (isOther || (namespace === '' && inPath !== '')) return { kind: 'other', path: url.pathname };
  const isWatch = method === 'GET' && inPath === '' && isTrue(url.searchParams.get('watch'));
  const permission = isWatch ? 'watch' : verbOf(method, inPath !== '');
  const isServed =
    inPath === '' ? onCollection(method, namespace) : ['GET', 'PUT', 'PATCH', 'DELETE'].includes(method);
  return {
    kind: 'leases',
    verb: isServed ? (permission as LeaseVerb) : undefined,
    permission,
    namespace,
    name: inPath === '' && method === 'GET' ? selectedName(url.searchParams) : inPath,
  };
}

function onCollection(method: string, namespace: string): boolean {
  return method === 'GET' || (namespace !== '' && (method === 'POST' || method === 'DELETE'));
}

/** What RBAC calls a method. */
export function verbOf(method: string, isNamed: boolean): string {
  const verbs: Readonly<Record<string, string>> = {
    GET: isNamed ? 'get' : 'list',
    HEAD: isNamed ? 'get' : 'list',
    POST: 'create',
    PUT: 'update',
    PATCH: 'patch',
    DELETE: isNamed ? 'delete' : 'deletecollection',
  };
  return verbs[method] ?? '';
}

/** A boolean of the query: whatever is there is true, unless it says otherwise. */
export function isTrue(value: string | null): boolean {
  return value !== null && !['false', '0'].includes(value.toLowerCase());
}

/** Undefined when it is not URL-encoded text. */
function decoded(part = ''): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** A list or watch whose field selector asks for one name counts as a request for that name. */
function selectedName(query: URLSearchParams): string {
  const terms = (query.get('fieldSelector') ?? '').split(',');
  return terms.flatMap((term) => /^metadata\.name==?([^=].*)$/.exec(term)?.[1] ?? [])[0] ?? '';
}

/** The version whose behaviour is copied. */
const version = {
  major: '1',
  minor: '36',
  gitVersion: 'v1.36.3',
  gitCommit: '',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
};

const served = { groupVersion: `${GROUP}/v1`, version: 'v1' };
const group = { name: GROUP, versions: [served], preferredVersion: served };

const leaseResource = {
  name: 'leases',
  singularName: 'lease',
  namespaced: true,
  kind: 'Lease',
  verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
  storageVersionHash: 'gqkMMb/YqFM=',
};

/** kubectl takes a version without any resource for an error, so there is one, without verbs. */
const namespaceResource = {
  name: 'namespaces',
  singularName: 'namespace',
  namespaced: false,
  kind: 'Namespace',
  verbs: [],
};

function resources(groupVersion: string, resource: object): object {
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: [resource] };
}

const documents: Readonly<Record<string, object>> = {
  '/version': version,
  '/api/v1': resources('v1', namespaceResource),
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [group] },
  [`/apis/${GROUP}`]: { kind: 'APIGroup', apiVersion: 'v1', ...group },
  [`/apis/${GROUP}/v1`]: resources(`${GROUP}/v1`, leaseResource),
};

/**
 * Answers what is not about Leases.
 *
 * @param address the server's, as the client has it.
 * @throws StatusError 404, 405
 */
export function answerDiscovery(method: string, path: string, address: string): Reply {
  const isProbe = ['/readyz', '/livez', '/healthz'].includes(path);
  const plain = path.replace(/\/$/, '');
  const serverAddressByClientCIDRs = [{ clientCIDR: '0.0.0.0/0', serverAddress: address }];
  const document =
    plain === '/api'
      ? { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs }
      : documents[plain];
  if (document === undefined && !isProbe) {
    if (/^\/apis?\//.test(path)) throw failed(404, 'the server could not find the requested resource', {});
    return textReply(404, '404 page not found\n');
  }
  if (method !== 'GET') throw failed(405, 'only GET is served here', {});
  return document === undefined ? textReply(200, 'ok') : objectReply(200, document);
}
