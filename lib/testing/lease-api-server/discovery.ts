/** What the server tells about itself: is it ready, which version is it, what does it serve. */
import { GROUP, methodNotAllowed, noSuchResource } from './status.js';
import { objectReply, textReply, type Reply } from './reply.js';

/** Says to be the version whose behaviour is copied. */
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

/** A version without any resource is an error to kubectl, and no version to others: here is one that has no verbs. */
const namespaceResource = {
  name: 'namespaces',
  singularName: 'namespace',
  namespaced: false,
  kind: 'Namespace',
  verbs: [],
};

const documents: Readonly<Record<string, object>> = {
  '/version': version,
  '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources: [namespaceResource] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [group] },
  [`/apis/${GROUP}`]: { kind: 'APIGroup', apiVersion: 'v1', ...group },
  [`/apis/${GROUP}/v1`]: {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: `${GROUP}/v1`,
    resources: [leaseResource],
  },
};

function documentAt(path: string, address: string): object | undefined {
  if (path !== '/api') return documents[path];
  const serverAddressByClientCIDRs = [{ clientCIDR: '0.0.0.0/0', serverAddress: address }];
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs };
}

const probes: readonly string[] = ['/readyz', '/livez', '/healthz'];

/**
 * @param address the server's, as the client has it.
 * @throws StatusError 404, 405
 */
export function answerDiscovery(method: string, path: string, address: string): Reply {
  const document = documentAt(path.replace(/\/$/, ''), address);
  const isProbe = probes.includes(path);
  if (document === undefined && !isProbe) {
    if (/^\/apis?\//.test(path)) throw noSuchResource();
    return textReply(404, '404 page not found\n');
  }
  if (method !== 'GET') throw methodNotAllowed();
  return isProbe ? textReply(200, 'ok', { 'X-Content-Type-Options': 'nosniff' }) : objectReply(200, document);
}
