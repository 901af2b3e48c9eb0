import { LeaseRequestError } from '../election/index.js';
import { socksAgents } from './client-node.js';
import { TunnelAgent, tunnelThrough } from './proxy-tunnel.js';
import type { Route, TlsMaterial } from './transport.js';
import { USER_AGENT } from './user-agent.js';

/** Where requests go, and the headers they carry. A new object whenever one of these has changed. */
export interface Access {
  /** The path of a request is appended to it, so no slash ends it. */
  readonly server: string;
  readonly route: Route;
  readonly headers: Readonly<Record<string, string>>;
}

/** Waits on behalf of a request for what `begin` starts; `what` names it to whoever sent the request. */
export type Wait = <T>(what: string, begin: () => Promise<T>) => Promise<T>;

/** Where a connection gets its access from, and when it gets another. */
export interface AccessSource {
  /** Loads what does not depend on a request. */
  start(): Promise<void>;
  /** The access for a request that is sent now. Undefined if the request has to wait for it, by `get`. */
  now(): Access | undefined;
  get(wait: Wait): Promise<Access>;
  /** The access to use after a 401. Undefined if the credentials are still those that were refused. */
  renew(refused: Access, wait: Wait): Promise<Access | undefined>;
}

/** The headers of every request. */
export const commonHeaders = { Accept: 'application/json', 'User-Agent': USER_AGENT } as const;

/** A server's URL as {@link Access} has it. */
export function withoutSlash(server: string): string {
  const base = server.trim();
  let end = base.length;
  while (base[end - 1] === '/') end -= 1;
  return base.slice(0, end);
}

/**
 * The way to a server: directly, or through a proxy. A proxy that is asked by CONNECT needs nothing but Node; SOCKS is known to
 * client-node.
 *
 * @throws LeaseRequestError `LEADER_CLIENT_UNUSABLE`
 */
export async function routeTo(server: URL, proxy: URL | undefined, tls: TlsMaterial): Promise<Route> {
  if (proxy === undefined) return { tls, proxied: undefined };
  if (proxy.protocol.startsWith('socks')) return { tls, proxied: await socksAgents(server, proxy, tls) };
  const tunnel = tunnelThrough(proxy);
  if (server.protocol === 'https:') return { tls, tunnel, proxied: undefined };
  return { tls, proxied: () => new TunnelAgent(tunnel) };
}

/**
 * The URL of a proxy.
 *
 * @param named what names the proxy.
 * @throws LeaseRequestError `LEADER_KUBECONFIG_INVALID`
 */
export function proxyUrl(text: string, named: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^(?:https?|socks(?:4a?|5h?)?):$/.test(url.protocol) && url.hostname !== '')
    return url;
  throw new LeaseRequestError(
    'LEADER_KUBECONFIG_INVALID',
    `${named} is no URL of a proxy (it is not shown, for the password that may be in it): it must be an http, https or ` +
      `socks5 URL, as http://proxy.example:3128.`,
    { maybeCommitted: false },
  );
}
