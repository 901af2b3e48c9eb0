/** Keeps web pages out: a browser on the same machine can reach the server, and so can whatever page it shows. */
import type { IncomingMessage } from 'node:http';
import { badRequest, failed } from './status.js';

/**
 * Refuses what a page of another site can make a browser send: requests under a host name that somebody points at the
 * loopback interface (DNS rebinding), and requests of another origin. Only browsers send `Origin` and `Sec-Fetch-Site`;
 * of a GET that a page cannot read the answer of, such as that of an image, the latter alone tells.
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
  const site = headers['sec-fetch-site'];
  if (site === 'cross-site' || site === 'same-site') {
    throw failed(403, 'Forbidden', `the Sec-Fetch-Site header is ${site}: ${NO_PAGES}`);
  }
  if (origin === undefined) return;
  const own = `${'encrypted' in socket ? 'https' : 'http'}://${String(host)}`;
  if (origin.toLowerCase() === own.toLowerCase()) return;
  throw failed(403, 'Forbidden', `the Origin header is ${JSON.stringify(origin)}: ${NO_PAGES}`);
}

const NO_PAGES = 'web pages of another origin than the server’s own may not use it';

function isLoopback(host: string): boolean {
  // Read as browsers read it: `127.1` is 127.0.0.1.
  const url = `http://${host}`;
  const { hostname } = URL.canParse(url) ? new URL(url) : { hostname: '' };
  return /^(?:127\.\d+\.\d+\.\d+|\[::1\]|(?:.+\.)?localhost)$/.test(hostname);
}
