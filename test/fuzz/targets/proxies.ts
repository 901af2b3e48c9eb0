/** Bytes that a proxy answers to CONNECT. */
import { PASSWORD, TOKEN, checkTransportError, outcomeOf } from '../promises.js';
import { tunnelThrough } from '../../../lib/kubernetes/proxy-tunnel.js';
import { Transport } from '../../../lib/kubernetes/transport.js';
import type { Target } from '../fuzzing.js';
import { RawServer } from './raw-server.js';

let server: Promise<RawServer> | undefined;

export const proxies: Target = {
  name: 'proxies',
  runsPerSecond: 150,
  async run(input) {
    server ??= RawServer.start();
    const proxy = await server;
    proxy.onConnection = (socket) => socket.once('data', () => socket.end(input));
    const tunnel = tunnelThrough(new URL(`http://me:${PASSWORD}@127.0.0.1:${String(proxy.port)}`));
    const transport = new Transport();
    const request = {
      method: 'GET',
      headers: { Authorization: `Bearer ${TOKEN}` },
      signal: new AbortController().signal,
      newConnection: false,
    } as const;
    const route = { tls: {}, tunnel, proxied: undefined };
    // No name of the cluster is looked up: the proxy would do that.
    const url = new URL('https://api.invalid:6443/version');
    const outcome = await outcomeOf(() => transport.exchange({ ...request, url }, route));
    if ('value' in outcome) throw new Error('A proxy was taken for the API server.');
    checkTransportError(outcome.error);
    transport.close();
    proxy.cut();
  },
  async close() {
    await (await server)?.stop();
    server = undefined;
  },
};
