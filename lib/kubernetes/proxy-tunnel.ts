import { Agent, request as plainRequest, type ClientRequestArgs } from 'node:http';
import { request as secureRequest } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { bareHost } from './addresses.js';
import { checkServerIdentity } from './tls-connection.js';
import type { Route } from './transport.js';

/** Opens a byte stream to a host and port through a proxy. */
export type Tunnel = NonNullable<Route['tunnel']>;

/**
 * Opens tunnels through an http or https proxy, by CONNECT. The proxy is sent the user and password in its URL. So
 * the certificate of an https proxy is always verified against the system's authorities (and `NODE_EXTRA_CA_CERTS`),
 * even if `NODE_TLS_REJECT_UNAUTHORIZED` is 0.
 */
export function tunnelThrough(proxy: URL): Tunnel {
  const { isSecure, host: proxyHost, port } = addressOfProxy(proxy);
  const options = {
    method: 'CONNECT',
    host: proxyHost,
    // Otherwise Node would verify the certificate for the name in the Host header, which is the API server's.
    servername: isIP(proxyHost) === 0 ? proxyHost : '',
    port,
    agent: false,
    rejectUnauthorized: true,
    checkServerIdentity,
  } as const;
  const authorization = authorizationOf(proxy);
  return ({ host, port: targetPort }, signal) =>
    new Promise((resolve, reject) => {
      const bare = bareHost(host);
      const path = `${bare.includes(':') ? `[${bare}]` : bare}:${String(targetPort)}`;
      const headers = { Host: path, ...authorization };
      const request = (isSecure ? secureRequest : plainRequest)({ ...options, path, headers, signal });
      request.once('connect', ({ statusCode }, socket, head) => {
        if (!opensTunnel(statusCode)) {
          socket.destroy();
          reject(refused(statusCode));
          return;
        }
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
      request.once('error', reject);
      request.end();
    });
}

/** An agent for plain http through a tunnel. */
export class TunnelAgent extends Agent {
  readonly #tunnel: Tunnel;
  readonly #destroyed = new AbortController();

  constructor(tunnel: Tunnel) {
    super();
    this.#tunnel = tunnel;
  }

  override createConnection(
    { host, port }: ClientRequestArgs,
    done?: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const opened = this.#tunnel({ host: host ?? '', port: Number(port) }, this.#destroyed.signal);
    handOver(opened, done);
  }

  override destroy(): void {
    this.#destroyed.abort();
    super.destroy();
  }
}

/** Calls the callback of Node's `createConnection` when a connection is open or has failed. */
export function handOver(
  opened: Promise<Duplex>,
  done: ((error: Error | null, socket: Duplex) => void) | undefined,
): void {
  opened.then(
    (socket) => done?.(null, socket),
    (error: unknown) => done?.(error as Error, undefined as never),
  );
}

/** Where an http or https proxy listens. */
export function addressOfProxy({ protocol, hostname, port }: URL): {
  readonly isSecure: boolean;
  readonly host: string;
  readonly port: number;
} {
  const isSecure = protocol === 'https:';
  return {
    isSecure,
    host: bareHost(hostname),
    port: port === '' ? (isSecure ? 443 : 80) : Number(port),
  };
}

/** The header with the user and password of a proxy's URL, if it has any. */
export function authorizationOf({ username, password }: URL): { readonly 'Proxy-Authorization'?: string } {
  if (username === '' && password === '') return {};
  const credentials = Buffer.from(`${decoded(username)}:${decoded(password)}`);
  return { 'Proxy-Authorization': `Basic ${credentials.toString('base64')}` };
}

/** Decodes a user or password. One that contains a stray % is taken as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Whether a proxy that answers CONNECT with this status has opened the tunnel: any 2xx, by RFC 9110. It must call no other function, because a thread gets it as text. */
export function opensTunnel(status = 0): boolean {
  return status >= 200 && status <= 299;
}

/** The body is not passed on, because it may contain anything. */
function refused(status = 0): Error {
  const message = `The proxy refused to connect to the API server: it answered CONNECT with ${String(status)}.`;
  return Object.assign(new Error(message), { code: `PROXY_ANSWERED_${String(status)}` });
}
