/** Keeps web pages out: a browser on the same machine can reach the server, and so can whatever page it shows. */
import type { IncomingMessage } from 'node:http';
import { badRequest, failed } from './status.js';

/**
 * Refuses what a page of another site can make a browser send: requests under a host name that somebody points at the
 * loopback interface (DNS rebinding), and requests of another origin. Clients other than browsers send no `Origin`.
 *
 * @throws StatusError 400, 403
 */
export function refuseWebPages({ headers, socket }: IncomingMessage): void {
  const { host, origin } = headers;
  if (host !== undefined && !isLoopback(host)) {
    throw badRequest(
      `the Host header is ${JSON.stringify(host)}: this server answers only on the loopback interface, so the host must be localhost, 127.0.0.1 or another loopback name or address`,
    );
  }
  if (origin === undefined) return;
  const own = `${'encrypted' in socket ? 'https' : 'http'}://${String(host)}`;
  if (origin.toLowerCase() === own.toLowerCase()) return;
  throw failed(
    403,
    'Forbidden',
    `the Origin header is ${JSON.stringify(origin)}: web pages of another origin than ${own} may not use this server`,
  );
}

function isLoopback(host: string): boolean {
  // Read as browsers read it: `127.1` is 127.0.0.1.
  const url = `http://${host}`;
  const { hostname } = URL.canParse(url) ? new URL(url) : { hostname: '' };
  return /^(?:127\.\d+\.\d+\.\d+|\[::1\]|(?:.+\.)?localhost)$/.test(hostname);
}
