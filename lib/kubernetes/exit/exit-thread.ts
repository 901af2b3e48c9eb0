/**
 * The program of the thread that sends updates when the process exits. The thread gets its functions as text, because a
 * user's bundler may move every file. So they use nothing that is imported. The build makes the text (scripts/build.mjs),
 * before a bundler can insert calls of its own functions.
 */
import type { LookupAddress } from 'node:dns';
import type { Agent } from 'node:http';
import type { AgentOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { opensTunnel } from '../proxy-tunnel.js';

/** What the thread gets. It can hold neither functions nor URLs. */
export interface Cargo {
  /** Becomes 1 when all is done. */
  readonly done: Int32Array;
  readonly parcels: readonly Parcel[];
}

export interface Parcel {
  readonly server: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: AgentOptions;
  readonly addresses: readonly LookupAddress[];
  readonly proxy: ParcelProxy | undefined;
  readonly updates: readonly LastUpdate[];
}

interface ParcelProxy {
  readonly isSecure: boolean;
  readonly host: string;
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: AgentOptions;
}

/** The new Lease, and the holder that it must still have. */
export interface LastUpdate {
  readonly path: string;
  readonly body: object;
  readonly holder: { readonly holderIdentity: string; readonly acquireTime: string | undefined };
}

/** The text of the program. */
export function threadSource(): string {
  const functions = [finish, update, send, agentOf, tunnelled].map(String);
  return `'use strict'; ${functions.join('\n')} (${String(main)})(${String(opensTunnel)});`;
}

type Opens = typeof opensTunnel;

/** @param opens the rule for the answers of a proxy. */
function main(opens: Opens): void {
  const { workerData } = process.getBuiltinModule('node:worker_threads') as { workerData: unknown };
  const { done, parcels } = workerData as Cargo;
  process.on('uncaughtException', () => {
    finish(done);
  });
  const sent = parcels.flatMap((parcel) => {
    const agent = agentOf(parcel, opens);
    return parcel.updates.map((each) => update(parcel, agent, each));
  });
  void Promise.allSettled(sent).then(() => {
    finish(done);
  });
}

function finish(done: Int32Array): void {
  Atomics.store(done, 0, 1);
  Atomics.notify(done, 0);
}

/**
 * An update that is refused as a conflict is sent once more, if the Lease still shows the claim of this process: a renewal was
 * carried out whose reply never came.
 */
async function update(parcel: Parcel, agent: Agent, { path, body, holder }: LastUpdate): Promise<void> {
  const { status } = await send(parcel, agent, path, body);
  if (status !== 409) return;
  const present = JSON.parse((await send(parcel, agent, path)).text) as { spec?: Partial<typeof holder> };
  const { holderIdentity, acquireTime } = present.spec ?? {};
  if (holderIdentity !== holder.holderIdentity || acquireTime !== holder.acquireTime) return;
  const { spec } = body as { spec: object };
  await send(parcel, agent, path, { ...present, spec: { ...present.spec, ...spec } });
}

/** A PUT, or a GET if there is no body. */
function send(
  { server, headers }: Parcel,
  agent: Agent,
  path: string,
  body?: object,
): Promise<{ status: number | undefined; text: string }> {
  const { request } = server.startsWith('https:')
    ? process.getBuiltinModule('node:https')
    : process.getBuiltinModule('node:http');
  const [method, content] =
    body === undefined ? ['GET', {}] : ['PUT', { 'Content-Type': 'application/json' }];
  return new Promise((resolve, reject) => {
    const sending = request(
      server + path,
      { method, agent, headers: { ...headers, ...content } },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          // No Lease is longer.
          if (text.length > 3 * 1024 * 1024) response.destroy(new Error('the answer is too long'));
        });
        response.on('end', () => {
          resolve({ status: response.statusCode, text });
        });
        response.on('error', reject);
      },
    );
    sending.on('error', reject);
    sending.end(body && JSON.stringify(body));
  });
}

function agentOf({ server, tls, addresses, proxy }: Parcel, opens: Opens): Agent {
  const { isIPv6 } = process.getBuiltinModule('node:net');
  const { checkServerIdentity } = process.getBuiltinModule('node:tls');
  const { X509Certificate } = process.getBuiltinModule('node:crypto');
  const options: AgentOptions = {
    keepAlive: true,
    maxSockets: 8,
    // Some releases of Node find no IPv6 address in a certificate (nodejs/node#64144).
    checkServerIdentity: (host, certificate) =>
      isIPv6(host) && !host.includes('%') && new X509Certificate(certificate.raw).checkIP(host) !== undefined
        ? undefined
        : checkServerIdentity(host, certificate),
    lookup: (_, { all }, callback) => {
      const [first] = addresses;
      if (first === undefined) callback(new Error('no address is known'), []);
      else if (all === true) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    },
  };
  const isSecure = server.startsWith('https:');
  const { Agent: Plain } = process.getBuiltinModule('node:http');
  const { Agent: Secure } = process.getBuiltinModule('node:https');
  const agent = isSecure ? new Secure({ ...options, ...tls }) : new Plain(options);
  return proxy === undefined
    ? agent
    : Object.assign(agent, { createConnection: tunnelled(proxy, isSecure, options, opens) });
}

/** The `createConnection` of an agent that reaches the server by CONNECT. */
function tunnelled(
  proxy: ParcelProxy,
  isSecure: boolean,
  { checkServerIdentity, lookup }: AgentOptions,
  opens: Opens,
): (target: AgentOptions, callback: (error: Error | null, socket?: Duplex) => void) => void {
  const { isIP } = process.getBuiltinModule('node:net');
  const { connect } = process.getBuiltinModule('node:tls');
  const { request } = proxy.isSecure
    ? process.getBuiltinModule('node:https')
    : process.getBuiltinModule('node:http');
  return (target, callback) => {
    const host = String(target.host);
    const path = `${host.includes(':') ? `[${host}]` : host}:${String(target.port)}`;
    const asking = request({
      ...proxy.tls,
      method: 'CONNECT',
      host: proxy.host,
      port: proxy.port,
      servername: isIP(proxy.host) === 0 ? proxy.host : '',
      path,
      headers: { Host: path, ...proxy.headers },
      agent: false,
      rejectUnauthorized: true,
      checkServerIdentity,
      lookup,
    });
    asking.on('error', callback);
    asking.on('connect', ({ statusCode }, socket) => {
      if (opens(statusCode)) callback(null, isSecure ? connect({ ...target, socket }) : socket);
      else {
        socket.destroy();
        callback(new Error('the proxy refused'));
      }
    });
    asking.end();
  };
}
