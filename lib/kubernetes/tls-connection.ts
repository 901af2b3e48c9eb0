import { X509Certificate } from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import {
  checkServerIdentity as checkOfNode,
  connect,
  type ConnectionOptions,
  type PeerCertificate,
  type TLSSocket,
} from 'node:tls';
import { onAbort } from '../election/internal.js';
import { bareHost } from './addresses.js';
import { CONNECTION_LOST, TransportError, asTransportError } from './transport-error.js';
import type { Route } from './transport.js';

/** How soon TCP asks whether the other end of a silent connection is still there. */
export const TCP_KEEP_ALIVE_MS = 10_000;

/**
 * Checks that a certificate is valid for a host, as Node does. Node 22.23 and some releases of 24 and 26 find no IPv6
 * address in any certificate, so OpenSSL checks those first.
 *
 * @returns The error if it is not.
 * @see https://github.com/nodejs/node/issues/64144
 */
export function checkServerIdentity(host: string, certificate: PeerCertificate): Error | undefined {
  // OpenSSL takes no address with a zone.
  const isListed =
    isIPv6(host) && !host.includes('%') && new X509Certificate(certificate.raw).checkIP(host) !== undefined;
  return isListed ? undefined : checkOfNode(host, certificate);
}

/**
 * Opens a TLS connection, through the route's tunnel if there is one. It offers HTTP/2 and HTTP/1.1; `alpnProtocol` is what the
 * server chose.
 *
 * @throws TransportError, never `sent`.
 */
export async function connectTls(url: URL, route: Route, signal: AbortSignal): Promise<TLSSocket> {
  try {
    return await secured(await optionsFor(url, route, signal), signal);
  } catch (error) {
    throw asTransportError(error, false);
  }
}

async function optionsFor(
  { hostname, port: given }: URL,
  { tls, tunnel }: Route,
  signal: AbortSignal,
): Promise<ConnectionOptions> {
  const host = bareHost(hostname);
  const port = Number(given || 443);
  const socket = await tunnel?.({ host, port }, signal);
  // Socket errors are the TLS connection's, but a listener must be there.
  socket?.on('error', () => undefined).setKeepAlive(true, TCP_KEEP_ALIVE_MS);
  return {
    host,
    port,
    // Names only: TLS has no servername for an address, which is checked as the host.
    servername: isIP(host) > 0 ? '' : host,
    checkServerIdentity,
    ...(tls as ConnectionOptions),
    ALPNProtocols: ['h2', 'http/1.1'],
    ...(socket && { socket }),
  };
}

async function secured(options: ConnectionOptions, signal: AbortSignal): Promise<TLSSocket> {
  let socket: TLSSocket | undefined;
  const ignore = onAbort(signal, () => {
    (socket ?? options.socket)?.destroy(signal.reason as Error);
  });
  try {
    return await new Promise((resolve, reject) => {
      if (signal.aborted) throw signal.reason as Error;
      const made = connect(options);
      socket = made;
      // Stays, so that no later error of the socket is unhandled.
      made.on('error', reject);
      made.once('close', () => {
        reject(new TransportError(CONNECTION_LOST, false));
      });
      made.once('secureConnect', () => {
        made.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
        resolve(made);
      });
    });
  } catch (error) {
    options.socket?.destroy();
    throw error;
  } finally {
    ignore();
  }
}
