/** From method and URL to what a request asks for, and the discovery documents by which clients find the Leases. */
import { GROUP, failed, objectReply, textReply, type Reply } from './status.js';

/** What is done to a Lease or to several. */
export type LeaseVerb =
  'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

/** A request for Leases. */
export interface LeaseTarget {
  /** Undefined when Leases have no such method, and when the request is not for Leases. */
  readonly verb: LeaseVerb | undefined;
  /** `''`: every namespace. */
  readonly namespace: string;
  /** `''`: no Lease in particular. For list and watch the name in the field selector. */
  readonly name: string;
}

const LEASES = /^\/apis\/coordination\.k8s\.io\/v1\/(?:namespaces\/([^/]+)\/)?leases(?:\/([^/]+))?\/?$/;

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

/** What RBAC calls a method. */
export function verbOf(method: string, isNamed: boolean): LeaseVerb | undefined {
  return (isNamed ? itemVerbs : collectionVerbs)[method];
}

/** What `method` on `url` asks for. */
export function targetOf(method: string, url: URL): LeaseTarget & { readonly isLeases: boolean } {
  const [path, namespace = '', name = ''] = LEASES.exec(decoded(url.pathname)) ?? [];
  if (path === undefined || (namespace === '' && name !== ''))
    return { isLeases: false, verb: undefined, namespace: '', name: '' };
  const verb = namespace === '' && method !== 'GET' ? undefined : verbOf(method, name !== '');
  if (verb !== 'list') return { isLeases: true, verb, namespace, name };
  const isWatch = isTrue(url.searchParams.get('watch'));
  return {
    isLeases: true,
    verb: isWatch ? 'watch' : 'list',
    namespace,
    name: selectedName(url.searchParams),
  };
}

/** A boolean of the query: any value is true, except `false` and `0`. */
export function isTrue(value: string | null): boolean {
  return value !== null && !['false', '0'].includes(value.toLowerCase());
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return '';
  }
}

/** A list or watch whose field selector asks for one name counts as a request for that name. */
function selectedName(query: URLSearchParams): string {
  const terms = (query.get('fieldSelector') ?? '').split(',');
  return terms.flatMap((term) => /^metadata\.name==?([^=].*)$/.exec(term)?.[1] ?? [])[0] ?? '';
}

/** The version whose behaviour is copied. Some clients demand every field. */
const version = {
  ...{ major: '1', minor: '36', gitVersion: 'v1.36.3', platform: 'linux/amd64' },
  ...{ gitCommit: '', gitTreeState: '', buildDate: '1970-01-01T00:00:00Z', goVersion: '', compiler: '' },
};

const served = { groupVersion: `${GROUP}/v1`, version: 'v1' };
const group = { name: GROUP, versions: [served], preferredVersion: served };
const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const lease = {
  name: 'leases',
  singularName: 'lease',
  namespaced: true,
  kind: 'Lease',
  verbs,
  storageVersionHash: 'gqkMMb/YqFM=',
};
/** kubectl reports an error if a version has no resource, so `v1` has one, without verbs. */
const namespace = { name: 'namespaces', singularName: '', namespaced: false, kind: 'Namespace', verbs: [] };

function resources(groupVersion: string, ...all: object[]): object {
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: all };
}

/** kubectl looks for `fieldValidation` here. Without it, kubectl would demand a schema to check objects itself. */
const openapi = {
  openapi: '3.0.0',
  info: { title: 'Leases', version: version.gitVersion },
  paths: {
    [`/apis/${GROUP}/v1/namespaces/{namespace}/leases/{name}`]: {
      patch: {
        parameters: [{ name: 'fieldValidation', in: 'query' }],
        'x-kubernetes-group-version-kind': { group: GROUP, version: 'v1', kind: 'Lease' },
      },
    },
  },
};

const documents: Readonly<Record<string, object>> = {
  '/version': version,
  '/api': { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] },
  '/api/v1': resources('v1', namespace),
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [group] },
  [`/apis/${GROUP}`]: { kind: 'APIGroup', apiVersion: 'v1', ...group },
  [`/apis/${GROUP}/v1`]: resources(`${GROUP}/v1`, lease),
  '/openapi/v3': { paths: { [`apis/${GROUP}/v1`]: { serverRelativeURL: `/openapi/v3/apis/${GROUP}/v1` } } },
  [`/openapi/v3/apis/${GROUP}/v1`]: openapi,
};

/**
 * Answers what is not about Leases.
 *
 * @throws StatusError 404, 405
 */
export function answerDiscovery(method: string, path: string): Reply {
  const isProbe = ['/readyz', '/livez', '/healthz'].includes(path);
  const document = documents[path.replace(/\/$/, '')];
  if (document === undefined && !isProbe) {
    if (/^\/apis?\//.test(path)) throw failed(404, 'the server could not find the requested resource', {});
    return textReply(404, '404 page not found\n');
  }
  if (method !== 'GET') throw failed(405, 'only GET is served here', {});
  return document === undefined ? textReply(200, 'ok') : objectReply(200, document);
}
