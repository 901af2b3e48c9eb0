/** The two servers of the suite, with the same namespaces, users and permissions. */
import { LeaseApiServer, type AccessRule, type LeaseVerb } from '../../lib/testing/index.js';
import { RealApiServer, type PolicyRule } from '../rig/real-api-server.js';
import { ApiConnection } from './api-connection.js';

export interface ContractServer {
  readonly api: ApiConnection;
  readonly url: string;
  /** The certificate of its authority, if it speaks TLS. */
  readonly ca: string | undefined;
  /** Restarts the server with the same data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** The namespaces of the parts of the suite. */
export const namespaces = [
  'contract',
  'contract-lists',
  'contract-tables',
  'contract-watch',
  'contract-access',
] as const;

export type Namespace = (typeof namespaces)[number];

interface Permission {
  readonly user: string;
  readonly verbs: readonly LeaseVerb[];
  readonly resourceNames?: readonly string[];
}

/** The permissions in `contract-access`. In other namespaces only the administrator has permissions. */
const permissions: readonly Permission[] = [
  { user: 'reader', verbs: ['get', 'list', 'watch'] },
  { user: 'updater', verbs: ['get', 'update'], resourceNames: ['updated'] },
  { user: 'elector', verbs: ['get', 'create', 'update', 'list', 'watch'], resourceNames: ['elected'] },
  { user: 'nobody', verbs: [] },
];

const users: readonly string[] = permissions.map(({ user }) => user);

export async function startEmbedded(): Promise<ContractServer> {
  const rules: AccessRule[] = permissions.map((permission) => ({
    ...permission,
    namespace: 'contract-access',
  }));
  const names = ['admin', ...users];
  const server = await LeaseApiServer.start({
    namespaces: ['default', ...namespaces],
    tokens: Object.fromEntries(names.map((user) => [`${user}-token`, user])),
    rules: [{ user: 'admin', verbs: ['*'] }, ...rules],
  });
  const api = new ApiConnection(server.url, undefined);
  return {
    api,
    url: server.url,
    ca: undefined,
    restart: () => {
      server.faults.cutConnections();
      server.faults.expireResourceVersions();
      api.renew();
      return Promise.resolve();
    },
    stop: async () => {
      api.close();
      await server.stop();
    },
  };
}

export async function startReal(): Promise<ContractServer> {
  const server = await RealApiServer.start({ users });
  for (const namespace of namespaces) await server.createNamespace(namespace);
  const api = new ApiConnection(server.url, server.ca);
  for (const { user, ...rule } of permissions) await grant(server, user, rule);
  return {
    api,
    url: server.url,
    ca: server.ca,
    restart: async () => {
      await server.restart();
      api.renew();
    },
    stop: async () => {
      api.close();
      await server.stop();
    },
  };
}

async function grant(
  server: RealApiServer,
  user: string,
  rule: Omit<PolicyRule, 'apiGroups' | 'resources'>,
): Promise<void> {
  if (rule.verbs.length === 0) return;
  const rules: PolicyRule[] = [{ ...rule, apiGroups: ['coordination.k8s.io'], resources: ['leases'] }];
  await server.grant('contract-access', user, rules);
  // The server sees a new permission a little later, through a watch.
  const attributes = {
    namespace: 'contract-access',
    verb: rule.verbs[0],
    group: 'coordination.k8s.io',
    resource: 'leases',
    name: rule.resourceNames?.[0],
  };
  for (let isAllowed = false; !isAllowed;) {
    const answer = await server.client.demand(
      'POST',
      '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      {
        token: `${user}-token`,
        body: { spec: { resourceAttributes: attributes } },
      },
    );
    isAllowed = (answer.json as { status: { allowed: boolean } }).status.allowed;
  }
}
