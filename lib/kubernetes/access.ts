import { environmentProxy } from './environment-proxy.js';
import { certificatesIn, type KubernetesSource } from './kubernetes-source.js';
import type { Route } from './transport.js';
import { USER_AGENT } from './user-agent.js';

/** Where requests go, and the headers they carry. */
export interface Access {
  readonly server: string;
  readonly route: Route;
  readonly headers: Readonly<Record<string, string>>;
}

/** The headers of every request. */
export const commonHeaders = { Accept: 'application/json', 'User-Agent': USER_AGENT } as const;

/** The same access with a token in its headers. */
export function withToken(access: Access, token: string | undefined): Access {
  if (token === undefined) return access;
  return { ...access, headers: { ...access.headers, Authorization: `Bearer ${token}` } };
}

/**
 * The access by the address in the options, without its token. Undefined if client-node is needed: for a kubeconfig, for the
 * pod's credentials, and for a proxy.
 */
export function accessOf(source: KubernetesSource): Access | undefined {
  if (!('server' in source)) return undefined;
  const { server, certificateAuthority: ca } = source;
  if (environmentProxy(new URL(server)) !== undefined) return undefined;
  return {
    server,
    // Set, so that NODE_TLS_REJECT_UNAUTHORIZED has no effect.
    route: {
      tls: { rejectUnauthorized: true, ...(ca !== undefined && { ca: certificatesIn(ca).join('\n') }) },
      proxied: undefined,
    },
    headers: commonHeaders,
  };
}
