import type { Agent } from 'node:http';
import type { RequestOptions } from 'node:https';
import type * as ClientNode from '@kubernetes/client-node';
import { LeaseRequestError } from '../election/internal.js';
import type { TlsMaterial } from './transport.js';

let importing: Promise<typeof ClientNode> | undefined;

/**
 * Loads `@kubernetes/client-node` once per process, because the import takes about 300 ms. A failed import is not
 * repeated: on a Node that is too old for it, a second attempt ends the process.
 *
 * @throws LeaseRequestError `LEADER_CLIENT_UNUSABLE`
 */
export function importClientNode(): Promise<typeof ClientNode> {
  importing ??= import('@kubernetes/client-node').catch((cause: unknown) => {
    throw unusable(cause);
  });
  return importing;
}

/**
 * Returns a function that creates agents for a SOCKS proxy, which client-node supports and Node does not.
 *
 * @throws LeaseRequestError `LEADER_CLIENT_UNUSABLE`
 */
export async function socksAgents(server: URL, proxy: URL, tls: TlsMaterial): Promise<() => Agent> {
  const { KubeConfig } = await importClientNode();
  const config = new KubeConfig();
  const cluster = { name: 'given', server: server.href, proxyUrl: proxy.href, skipTLSVerify: false };
  config.loadFromClusterAndUser(cluster, { name: 'given' });
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  // client-node creates one agent; the transport needs one for each pool and each single connection.
  const SocksAgent = (options.agent as Agent).constructor as new (proxy: URL, tls: object) => Agent;
  return () => new SocksAgent(proxy, { ...tls });
}

function unusable(cause: unknown): LeaseRequestError {
  const isMissing = /^(?:ERR_)?MODULE_NOT_FOUND$/.test(String((cause as { code?: unknown } | null)?.code));
  const what = cause instanceof Error ? cause.message.split('\n')[0] : typeof cause;
  return new LeaseRequestError(
    'LEADER_CLIENT_UNUSABLE',
    `@kubernetes/client-node, which kubeconfigs and SOCKS proxies need, ` +
      (isMissing ? 'is not installed' : `cannot be loaded by Node ${process.version}`) +
      ` (${String(what)}). Run npm i @kubernetes/client-node and restart, or set kubernetes: { server, token }.`,
    { maybeCommitted: false, cause },
  );
}
