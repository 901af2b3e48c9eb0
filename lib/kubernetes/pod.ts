/** What Kubernetes tells a pod about itself. */
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The namespace of the pod this process runs in, or undefined outside a cluster. */
export function podNamespace(folder = SERVICE_ACCOUNT_FOLDER): string | undefined {
  try {
    return readFileSync(join(folder, 'namespace'), 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Which Pod. */
export interface PodAddress {
  readonly name: string;
  readonly namespace: string;
}

/**
 * The name of the pod this process runs in: `POD_NAME`, which the downward API fills in, else the host's name. That is the
 * pod's, too, unless it is longer than 63 characters, or the pod uses the node's network or a `hostname` of its own.
 */
export function podName(env: NodeJS.ProcessEnv = process.env): string {
  const named = env['POD_NAME'];
  return named === undefined || named === '' ? hostname() : named;
}

/** Whether this process runs in a pod that may talk to its API server. */
export function isInCluster(env: NodeJS.ProcessEnv = process.env, folder = SERVICE_ACCOUNT_FOLDER): boolean {
  const addressed = Boolean(env['KUBERNETES_SERVICE_HOST']) && Boolean(env['KUBERNETES_SERVICE_PORT']);
  return addressed && existsSync(join(folder, 'token')) && existsSync(join(folder, 'ca.crt'));
}
