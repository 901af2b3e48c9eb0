import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * Whether requests to the host of a URL stay on this machine: 127.0.0.0/8, ::1, and the name localhost. `localhost.` and
 * names below it do not count, because they may be looked up at a name server.
 */
export function isLoopback({ hostname }: URL): boolean {
  const host = bareHost(hostname);
  const version = isIP(host);
  return version === 0 ? host === 'localhost' : loopback.check(host, version === 6 ? 'ipv6' : 'ipv4');
}

/** An IPv6 address without its brackets, a name in lower case. */
export function bareHost(hostname: string): string {
  return hostname.toLowerCase().replace(/^\[|\]$/g, '');
}
