import { BlockList, isIP } from 'node:net';
import { bareHost, isLoopback } from './addresses.js';

/**
 * The proxy that the environment names for `url`: HTTPS_PROXY or HTTP_PROXY in upper or lower case, unless NO_PROXY
 * exempts the URL. The rules are those of kubectl and client-go. An entry of NO_PROXY is `*`, a host name (its
 * subdomains included; with a leading dot, its subdomains only), an IP address or a range of addresses; a name or an
 * address may have a port. Requests to this machine never use a proxy.
 *
 * @see https://pkg.go.dev/golang.org/x/net/http/httpproxy
 */
export function environmentProxy(url: URL, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const proxy = variable(env, url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  if (proxy === '' || isLoopback(url)) return undefined;
  const host = bareHost(url.hostname);
  const port = url.port !== '' ? url.port : url.protocol === 'https:' ? '443' : '80';
  const entries = variable(env, 'NO_PROXY').split(',');
  if (entries.some((entry) => exempts(entry.trim().toLowerCase(), host, port))) return undefined;
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}

/** The value of an environment variable, in upper or lower case. An empty variable counts as unset. */
function variable(env: NodeJS.ProcessEnv, name: string): string {
  return [env[name], env[name.toLowerCase()]].find((value) => value !== undefined && value !== '') ?? '';
}

function exempts(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  const [, address = '', bits] = /^(.+)\/(\d+)$/.exec(entry) ?? [];
  if (bits !== undefined) return inRange(host, address, Number(bits));
  const [, named = entry, ofPort = port] = /^(\[.+\]|[^:]+):(\d+)$/.exec(entry) ?? [];
  const bare = named.replace(/^\[|\]$/g, '');
  if (bare === '' || ofPort !== port) return false;
  if (isIP(bare) > 0) return inRange(host, bare, isIP(bare) === 6 ? 128 : 32);
  const domain = bare.replace(/^\*?\./, '');
  return host.endsWith(`.${domain}`) || (host === domain && domain === bare);
}

function inRange(host: string, address: string, bits: number): boolean {
  const version = isIP(address);
  if (version === 0 || isIP(host) !== version || bits > (version === 6 ? 128 : 32)) return false;
  const type = version === 6 ? 'ipv6' : 'ipv4';
  const range = new BlockList();
  range.addSubnet(address, bits, type);
  return range.check(host, type);
}
