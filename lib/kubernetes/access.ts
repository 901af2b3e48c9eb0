import { environmentProxy } from './environment-proxy.js';
import { certificatesIn, type KubernetesSource } from './kubernetes-source.js';
import type { Route } from './transport.js';
import { USER_AGENT } from './user-agent.js';

/** Where requests go, and what they carry. */
export interface Access {
  readonly server: string;
  readonly route: Route;
  readonly headers: Readonly<Record<string, string>>;
}

/** What every request carries. */
export const commonHeaders = { Accept: 'application/json', 'User-Agent': USER_AGENT } as const;

/** That access with a token. */
export function withToken(access: Access, token: string | undefined): Access {
  if (token === undefined) return access;
  return { ...access, headers: { ...access.headers, Authorization: `Bearer ${token}` } };
}

/**
 * The access that a source by address names by itself, without its token; undefined when client-node must be asked: for a kubeconfig, for
 * the pod's credentials, and for a proxy.
 */
export function accessOf(source: KubernetesSource): Access | undefined {
  if (!('server' in source)) return undefined;
  const { server, certificateAuthority: ca } = source;
  if (environmentProxy(new URL(server)) !== undefined) return undefined;
  return {
    server,
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
    route: {
      tls: { rejectUnauthorized: true, ...(ca !== undefined && { ca: certificatesIn(ca).join('\n') }) },
      proxied: undefined,
    },
    headers: commonHeaders,
  };
}
