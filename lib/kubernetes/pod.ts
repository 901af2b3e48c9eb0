import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { InvalidOptionsError, LeaseRequestError, isSubdomain, show } from '../election/internal.js';
import { isLoopback } from './addresses.js';

export const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The namespace of the pod in which this process runs: `POD_NAMESPACE`, set by the downward API, else the namespace of its
 * service account; undefined outside a cluster.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` for a `POD_NAMESPACE` that no namespace can have.
 */
export function podNamespace(
  folder = SERVICE_ACCOUNT_FOLDER,
  env: NodeJS.ProcessEnv = process.env,
): string | undefined {
  const named = environmentNamespace(env);
  if (named !== undefined) return named;
  try {
    return readFileSync(join(folder, 'namespace'), 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** `POD_NAMESPACE`, if it is set. Throws as {@link podNamespace}. */
export function environmentNamespace(env: NodeJS.ProcessEnv): string | undefined {
  const named = (env['POD_NAMESPACE'] ?? '').trim();
  if (named === '' || /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(named)) return named || undefined;
  throw new InvalidOptionsError(
    [
      `POD_NAMESPACE is ${show(named)}: it must be an RFC 1123 label (lower-case letters, digits and '-', at most 63 ` +
        `characters), the namespace of this process' pod; set it by the downward API (metadata.namespace), or leave it out`,
    ],
    'The environment variables of the pod',
  );
}

/** The name and namespace of a Pod. */
export interface PodAddress {
  readonly name: string;
  readonly namespace: string;
}

/**
 * The pod in which this process runs, for requests about it. Its name is `POD_NAME`, set by the downward API, else
 * the host's name. That is the pod's name, unless the name is longer than 63 characters, or the pod uses the node's
 * network or sets `hostname`. Outside a cluster the API server has no pod of that name.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` for a `POD_NAME` that no pod can have.
 */
export function ownPod(namespace: string, env: NodeJS.ProcessEnv = process.env): PodAddress {
  const given = env['POD_NAME'] ?? '';
  if (given !== '' && !isSubdomain(given))
    throw new InvalidOptionsError(
      [
        `POD_NAME is ${show(given)}: it must be an RFC 1123 subdomain (lower-case letters, digits, '-' and '.', at most ` +
          `253 characters), the name of this process' pod; set it by the downward API (metadata.name), or leave it out`,
      ],
      'The environment variables of the pod',
    );
  return { name: given === '' ? hostname() : given, namespace: podNamespace() ?? namespace };
}

/** Whether this process runs in a pod with a service account. */
export function isInCluster(env: NodeJS.ProcessEnv = process.env, folder = SERVICE_ACCOUNT_FOLDER): boolean {
  const addressed = Boolean(env['KUBERNETES_SERVICE_HOST']) && Boolean(env['KUBERNETES_SERVICE_PORT']);
  return addressed && existsSync(join(folder, 'token')) && existsSync(join(folder, 'ca.crt'));
}

/** The ports on which client-node also uses plain http. */
const plainPorts = [80, 8001, 8080];

/**
 * The URL of the API server of the pod's cluster, from `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`. It is
 * an https URL, as in client-go; only for a server on this machine, on a usual port of plain http, it is an http URL.
 *
 * @throws LeaseRequestError `LEADER_KUBECONFIG_INVALID` for values that are not a host and a port.
 */
export function podServer(env: NodeJS.ProcessEnv = process.env): string {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '' } = env;
  const named = isIP(host) === 6 ? `[${host}]` : host;
  const url = `https://${named}:${port}`;
  const violations: string[] = [];
  if (!/^(?:[\w.-]+|\[.+\])$/.test(named) || !URL.canParse(`https://${named}`))
    violations.push(
      `KUBERNETES_SERVICE_HOST is ${show(host)}: it must be the name or IP address of the API server`,
    );
  if (!/^[0-9]{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535)
    violations.push(`KUBERNETES_SERVICE_PORT is ${show(port)}: it must be a whole number from 1 to 65535`);
  if (violations.length === 0)
    return plainPorts.includes(Number(port)) && isLoopback(new URL(url)) ? url.replace('https', 'http') : url;
  throw new LeaseRequestError(
    'LEADER_KUBECONFIG_INVALID',
    `The address of the pod's API server cannot be used: ${violations.join('; ')}. Kubernetes sets both variables in each ` +
      `container: remove what changes them, or set kubernetes: { server, tokenFile, certificateAuthority }.`,
    { maybeCommitted: false },
  );
}
