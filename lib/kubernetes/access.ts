import { LeaseRequestError } from '../election/internal.js';
import { socksAgents } from './client-node.js';
import { TunnelAgent, tunnelThrough } from './proxy-tunnel.js';
import type { Route, TlsMaterial } from './transport.js';

/** Where requests go, and the headers they carry. A new object whenever one of these has changed. */
export interface Access {
  /** Has no trailing slash, because the path of a request is appended to it. */
  readonly server: string;
  readonly route: Route;
  readonly headers: Readonly<Record<string, string>>;
}

/** Starts `begin` and waits for it, at most as long as the request may take. `what` names it in the error. */
export type Wait = <T>(what: string, begin: () => Promise<T>) => Promise<T>;

/** Provides the access of a connection, and renews it. */
export interface AccessSource {
  /** Loads what does not depend on a request. */
  start(): Promise<void>;
  /** The access for a request that is sent now. Undefined if the request must call `get`, and wait. */
  now(): Access | undefined;
  get(wait: Wait): Promise<Access>;
  /** The access that was used last, for a request that cannot wait. Undefined before the first. */
  readonly last: Access | undefined;
  /** The access to use after a 401. Undefined if the credentials are still those that were refused. */
  renew(refused: Access, wait: Wait): Promise<Access | undefined>;
}

/** The name of this package in the API server's logs and in managedFields. */
export const USER_AGENT = 'nestjs-leader';

/** The headers of every request. */
export const commonHeaders = { Accept: 'application/json', 'User-Agent': USER_AGENT } as const;

/** A server's URL without trailing slashes. */
export function withoutSlash(server: string): string {
  const base = server.trim();
  let end = base.length;
  while (base[end - 1] === '/') end -= 1;
  return base.slice(0, end);
}

/**
 * The route to a server: direct, or through a proxy. An http or https proxy is used by CONNECT, which needs nothing
 * but Node. A SOCKS proxy needs client-node.
 *
 * @throws LeaseRequestError `LEADER_CLIENT_UNUSABLE`
 */
export async function routeTo(server: URL, proxy: URL | undefined, tls: TlsMaterial): Promise<Route> {
  if (proxy === undefined) return { tls, proxied: undefined };
  if (proxy.protocol.startsWith('socks'))
    return { tls, proxied: await socksAgents(server, proxy, tls), proxy };
  const tunnel = tunnelThrough(proxy);
  if (server.protocol === 'https:') return { tls, tunnel, proxied: undefined, proxy };
  return { tls, proxied: () => new TunnelAgent(tunnel), proxy };
}

/**
 * Parses the URL of a proxy.
 *
 * @param named the setting that names the proxy, for the error.
 * @throws LeaseRequestError `LEADER_KUBECONFIG_INVALID`
 */
export function proxyUrl(text: string, named: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^(?:https?|socks(?:4a?|5h?)?):$/.test(url.protocol) && url.hostname !== '')
    return url;
  throw new LeaseRequestError(
    'LEADER_KUBECONFIG_INVALID',
    `${named} is not the URL of a proxy (its value is not shown, because it may contain a password): it must be an ` +
      `http, https or socks5 URL, such as http://proxy.example:3128.`,
    { maybeCommitted: false },
  );
}
